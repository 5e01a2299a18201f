"""Says what wrk says, at once; --bad: with answers that were no good ones."""

import sys

print("""Running 1s test @ http://127.0.0.1:1/async
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   366.01us  106.44us   5.19ms   95.04%
    Req/Sec   172.06k     6.31k  179.96k    72.73%
  Latency Distribution
     50%  353.00us
     75%  385.00us
     90%  424.00us
     99%    1.20ms
  188000 requests in 1.10s, 27.55MB read""")
if "--bad" in sys.argv:
    print("  Non-2xx or 3xx responses: 12")
print("Requests/sec: 170909.09\nTransfer/sec:     25.04MB")
