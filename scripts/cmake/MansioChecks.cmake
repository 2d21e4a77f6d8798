# Checks of the tree's shape, run with every build: include direction between kernel folders, plugins and
# sdk include no kernel header, and (without sanitizers) each header compiles alone.

function(mansio_add_checks)
  get_property(layers GLOBAL PROPERTY MANSIO_LAYERS)
  set(rules "")
  foreach(layer ${layers})
    get_property(depends GLOBAL PROPERTY MANSIO_LAYER_${layer}_DEPENDS)
    string(REPLACE ";" "," depends "${depends}")
    string(APPEND rules "${layer}:${depends}\n")
  endforeach()
  file(WRITE ${CMAKE_BINARY_DIR}/layers.txt "${rules}")
  add_custom_target(check-includes ALL
    COMMAND ${CMAKE_COMMAND} -D SOURCE=${CMAKE_SOURCE_DIR} -D RULES=${CMAKE_BINARY_DIR}/layers.txt
            -P ${CMAKE_SOURCE_DIR}/scripts/cmake/check_includes.cmake
    COMMENT "checking include direction" VERBATIM)

  # A header that has a .cpp of its name is compiled alone by that, which begins with it (check-includes), where files are
  # built one by one: in the preset debug. For each of the others there is one generated source, compiled into an object
  # (-fsyntax-only would leave none, so that every build did all of them again). Sanitizers change nothing about that, so
  # their presets leave it to the others.
  if(MANSIO_SANITIZE)
    return()
  endif()
  file(GLOB_RECURSE headers RELATIVE ${CMAKE_SOURCE_DIR} CONFIGURE_DEPENDS kernel/*.hpp plugins/*.hpp sdk/include/*.hpp sdk/include/*.h sdk/testing/*.hpp)
  set(sources "")
  foreach(header ${headers})
    cmake_path(REPLACE_EXTENSION header LAST_ONLY cpp OUTPUT_VARIABLE own)
    if(EXISTS ${CMAKE_SOURCE_DIR}/${own})
      continue()
    endif()
    string(MAKE_C_IDENTIFIER ${header} id)
    set(source ${CMAKE_BINARY_DIR}/header-check/${id}.cpp)
    file(GENERATE OUTPUT ${source} CONTENT "#include \"${header}\"\n")
    list(APPEND sources ${source})
  endforeach()
  add_library(check-headers OBJECT ${sources})
  set_target_properties(check-headers PROPERTIES UNITY_BUILD OFF)
  target_compile_options(check-headers PRIVATE -O0 -g0)
  target_link_libraries(check-headers PRIVATE mansio_cli mansio_sdk mansio_lua_api)
  target_include_directories(check-headers PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/sdk/include ${CMAKE_SOURCE_DIR}/sdk/testing)
endfunction()
