# asioserve_link_package(FOLDER DESTINATION): a Python package of the tree as the interpreter finds it: links to its files, so
# that an edited file needs no build step. Not one link to the folder: a build may put a file of its own beside them.
function(asioserve_link_package package destination)
    if(IS_SYMLINK ${destination})
        file(REMOVE ${destination})
    endif()
    file(MAKE_DIRECTORY ${destination})
    file(GLOB files CONFIGURE_DEPENDS ${package}/*.py ${package}/*.pyi ${package}/py.typed ${package}/include)
    foreach(file IN LISTS files)
        get_filename_component(name ${file} NAME)
        file(CREATE_LINK ${file} ${destination}/${name} SYMBOLIC)
    endforeach()
endfunction()
