cmake_policy(VERSION 3.25)
# Fails when a kernel file includes a layer that kernel/CMakeLists.txt does not list among its layer's DEPENDS, or when
# a plugin or the SDK includes anything of this tree but the SDK (a plugin: also plugins/, for what plugins share).
#
#   cmake -D SOURCE=top folder -D RULES=file of "layer:allowed,allowed" -P check_includes.cmake
#
# Fails, too, when a file does not begin with the header of its name: a header with such a file is thereby compiled alone,
# and MansioChecks.cmake compiles only the others so.
#
# Both forms, "x" and <x>, search the top folder, so both are judged. A path must stand as it is searched for: one with
# "..", "." or "//" could name any file of the tree, and a computed one cannot be judged. What is left and begins with
# no folder of the tree is a system header or a neighbour of the file.
# check_includes_test.cmake is its test.

set(bad "")
file(GLOB top RELATIVE ${SOURCE} ${SOURCE}/*)

# includes_of(FILE RESULT): the paths it includes; what cannot be judged is noted in `bad`.
function(includes_of file result)
  set(paths "")
  file(STRINGS ${file} lines REGEX "^[ \t]*(#|%:)[ \t]*(include|include_next|import)")
  foreach(line IN LISTS lines)
    if(NOT line MATCHES "^[ \t]*#[ \t]*include[ \t]*[<\"]([^<>\"]+)[>\"]")
      list(APPEND bad "${file}: not judged, write #include \"path\" or <path>: ${line}")
      continue()
    endif()
    set(path "${CMAKE_MATCH_1}")
    cmake_path(SET normal NORMALIZE "${path}")
    if(NOT path STREQUAL normal OR path MATCHES "^(/|\\.\\.)")
      list(APPEND bad "${file}: a path is written from the top folder, without \".\", \"..\" or \"//\": ${path}")
      continue()
    endif()
    list(APPEND paths "${path}")
  endforeach()
  set(${result} "${paths}" PARENT_SCOPE)
  set(bad "${bad}" PARENT_SCOPE)
endfunction()

# own_header_first(FILE INCLUDES): notes in `bad` where there is a header of its name and another comes before it.
function(own_header_first file includes)
  cmake_path(REPLACE_EXTENSION file LAST_ONLY hpp OUTPUT_VARIABLE header)
  if(NOT file MATCHES "\\.cpp$" OR NOT EXISTS ${header})
    return()
  endif()
  set(first "")
  if(includes)
    list(GET includes 0 first)
  endif()
  cmake_path(GET header FILENAME name)
  if(NOT header STREQUAL "${SOURCE}/${first}" AND NOT first STREQUAL name)
    list(APPEND bad "${file}: includes ${name} first, so that the header is seen to need nothing else")
    set(bad "${bad}" PARENT_SCOPE)
  endif()
endfunction()

file(STRINGS ${RULES} rules)
foreach(rule ${rules})
  string(REGEX MATCH "^([a-z]+):(.*)$" _ "${rule}")
  set(layer ${CMAKE_MATCH_1})
  string(REPLACE "," ";" allowed "${CMAKE_MATCH_2}")
  file(GLOB_RECURSE files ${SOURCE}/kernel/${layer}/*.hpp ${SOURCE}/kernel/${layer}/*.cpp ${SOURCE}/kernel/${layer}/*.h ${SOURCE}/kernel/${layer}/*.c)
  foreach(file ${files})
    includes_of(${file} includes)
    own_header_first(${file} "${includes}")
    foreach(include ${includes})
      string(REGEX MATCH "^([^/]+)/([^/]*)" _ "${include}")
      set(first "${CMAKE_MATCH_1}")
      set(to "${CMAKE_MATCH_2}")
      if(NOT include MATCHES "/" OR NOT first IN_LIST top)
        continue()
      elseif(NOT first STREQUAL "kernel")
        list(APPEND bad "${file}: kernel/${layer} may not include ${include}")
      elseif(NOT to STREQUAL layer AND NOT to IN_LIST allowed)
        list(APPEND bad "${file}: kernel/${layer} may not include kernel/${to}")
      endif()
    endforeach()
  endforeach()
endforeach()

foreach(folder plugins sdk)
  set(patterns "")
  foreach(ending hpp cpp h c)
    list(APPEND patterns ${SOURCE}/${folder}/*.${ending})
  endforeach()
  file(GLOB_RECURSE files ${patterns})
  foreach(file ${files})
    includes_of(${file} includes)
    own_header_first(${file} "${includes}")
    foreach(include ${includes})
      string(REGEX MATCH "^[^/]+" first "${include}")
      if(first IN_LIST top AND include MATCHES "/" AND NOT (folder STREQUAL "plugins" AND first STREQUAL "plugins"))
        list(APPEND bad "${file}: plugins and the SDK include sdk/ only, as \"mansio/...\": ${include}")
      endif()
    endforeach()
  endforeach()
endforeach()

if(bad)
  list(JOIN bad "\n  " text)
  message(FATAL_ERROR "include direction violated:\n  ${text}")
endif()
