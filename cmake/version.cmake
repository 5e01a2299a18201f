# The version of the product: ASIOSERVE_VERSION, from the one place that says it, where the wheel's comes from too.
get_filename_component(version_file ${CMAKE_CURRENT_LIST_DIR}/../common/asioserve/__init__.py ABSOLUTE)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${version_file})
file(STRINGS ${version_file} version_line REGEX "^__version__ = ")
string(REGEX REPLACE "^__version__ = \"(.+)\"$" "\\1" ASIOSERVE_VERSION "${version_line}")
