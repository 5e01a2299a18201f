# Writes the number of a build, for the module (build_id.cpp) and for the package (_build_id.py); run by the build:
#
#   cmake -DROOT=… -DFOLDER=… -DVERSION=… -DBUILD=… -P build_id.cmake
#
# It depends on the sources alone: who builds the same twice gets the same. FOLDER/made_of.txt names them.
file(STRINGS ${FOLDER}/made_of.txt sources)
set(all "")
foreach(source IN LISTS sources)
    file(RELATIVE_PATH name ${ROOT} ${source})
    file(SHA256 ${source} hash)
    string(APPEND all "${name} ${hash}\n")
endforeach()
string(SHA256 id "${all}")
string(SUBSTRING ${id} 0 16 id)
set(id ${VERSION}-${id})

function(write_if_changed file text)
    set(old "")
    if(EXISTS ${file})
        file(READ ${file} old)
    endif()
    if(NOT old STREQUAL text)
        file(WRITE ${file} "${text}")
    endif()
endfunction()

write_if_changed(${FOLDER}/build_id.cpp "#include \"stage3_native_loop/native/core/build_id.hpp\"

const char* const asioloop::kBuildId = \"${id}\";
")
write_if_changed(${FOLDER}/_build_id.py "\"\"\"Made by the build.\"\"\"

BUILD_ID = \"${id}\"
VERSION = \"${VERSION}\"
")
# Here, not when CMake configures: a link that leads nowhere is an error to whoever reads the tree.
foreach(folder python ext)
    file(CREATE_LINK ${FOLDER}/_build_id.py ${BUILD}/${folder}/asioloop/_build_id.py SYMBOLIC)
endforeach()
