# Compiler settings every target shares, and the functions that add a layer, a plugin or a test.

add_compile_options(-Wall -Wextra -Wpedantic -Werror -Wshadow $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor> -fvisibility=hidden)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # gcc 12 warns about its own standard library and coroutine frames at -O2; clang checks the same things.
  add_compile_options(-Wno-maybe-uninitialized -Wno-restrict -Wno-dangling-pointer -Wno-stringop-overflow -Wno-array-bounds $<$<COMPILE_LANGUAGE:CXX>:-Wno-mismatched-new-delete>)
  if(CMAKE_UNITY_BUILD)  # it takes the anonymous namespace of a source file for one in a header
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>)
  endif()
  if(MANSIO_SANITIZE MATCHES "thread")
    add_compile_options(-Wno-tsan)
  endif()
endif()
# The factor by which every time limit of a test grows (ctest's, and through the environment those of the system tests).
set(MANSIO_SLOW 1)
set(MANSIO_TEST_ENVIRONMENT "")  # what all but the system tests get, which tests/system/rig.py gives theirs
if(MANSIO_SANITIZE)
  set(MANSIO_SLOW 4)
  add_compile_options(-fsanitize=${MANSIO_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${MANSIO_SANITIZE})
  if(MANSIO_SANITIZE MATCHES "undefined" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # What UBSan finds ends the process with an illegal instruction, which ASan reports with its stack (handle_sigill=1):
    # what each check would say of itself is data that every process registers when it starts, most of its time.
    add_compile_options(-fsanitize-undefined-trap-on-error)
    add_link_options(-fsanitize-undefined-trap-on-error)
    set(MANSIO_TEST_ENVIRONMENT "ASAN_OPTIONS=handle_sigill=1")
  endif()
endif()
if(MANSIO_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# Boost 1.81 lies beside no other Boost on Debian 12; Asio is compiled once, in kernel/io/asio.cpp.
find_package(Boost 1.81 REQUIRED COMPONENTS filesystem json)
find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(fmt REQUIRED)
add_compile_definitions(BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_HAS_STD_COROUTINE BOOST_ASIO_HAS_CO_AWAIT)

# mansio_layer(NAME [DEPENDS layer...] [LIBRARIES lib...]): kernel/NAME as library mansio_NAME.
# DEPENDS is the whole of what its files may include from kernel/ (checked by check-includes).
function(mansio_layer name)
  cmake_parse_arguments(L "" "" "DEPENDS;LIBRARIES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernel/${name}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/(main|allocator)\\.cpp$")
  if(sources)
    add_library(mansio_${name} STATIC ${sources})
    set(scope PUBLIC)
  else()
    add_library(mansio_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(mansio_${name} ${scope} ${CMAKE_SOURCE_DIR})
  foreach(d ${L_DEPENDS})
    target_link_libraries(mansio_${name} ${scope} mansio_${d})
  endforeach()
  target_link_libraries(mansio_${name} ${scope} ${L_LIBRARIES})
  set_property(GLOBAL APPEND PROPERTY MANSIO_LAYERS ${name})
  set_property(GLOBAL PROPERTY MANSIO_LAYER_${name}_DEPENDS ${L_DEPENDS})
endfunction()

# mansio_plugin(NAME SOURCES... [LIBRARIES lib...]): lib/mansio/plugins/NAME.so, which exports its entry only.
function(mansio_plugin name)
  cmake_parse_arguments(P "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_library(${name} MODULE ${P_SOURCES})
  target_link_libraries(${name} PRIVATE mansio_sdk ${P_LIBRARIES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})  # plugins/..., for what plugins share
  set_target_properties(${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${MANSIO_PLUGIN_DIR})
  target_link_options(${name} PRIVATE -Wl,--version-script=${CMAKE_SOURCE_DIR}/sdk/plugin.map)
  if(NOT MANSIO_SANITIZE)
    target_link_options(${name} PRIVATE -Wl,-z,defs)
  endif()
  install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/mansio/plugins)
endfunction()

# mansio_test_limit(NAME SECONDS): how long a test may take in a build without sanitizers.
function(mansio_test_limit name seconds)
  math(EXPR limit "${seconds} * ${MANSIO_SLOW}")
  set_tests_properties(${name} PROPERTIES TIMEOUT ${limit})
endfunction()

# mansio_unit_test(NAME SOURCES... LIBRARIES...): one GoogleTest program, one ctest entry.
function(mansio_unit_test name)
  cmake_parse_arguments(T "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${T_SOURCES})
  target_link_libraries(${name} PRIVATE ${T_LIBRARIES} GTest::gmock GTest::gtest_main)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  # The layers that it tests are built as they are shipped; to optimize the rest as much only takes time.
  target_compile_options(${name} PRIVATE $<$<CONFIG:RelWithDebInfo>:-O1>)
  add_test(NAME ${name} COMMAND ${name})
  set_property(TEST ${name} PROPERTY ENVIRONMENT ${MANSIO_TEST_ENVIRONMENT})
  mansio_test_limit(${name} 300)
endfunction()

# mansio_plugin_test(PLUGIN SOURCES... LIBRARIES...): unit-PLUGIN, from tests/*_test.cpp of the plugin's folder and its
# sources, to reach what the plugin does not export. A test against a real server starts that server itself.
function(mansio_plugin_test name)
  cmake_parse_arguments(T "" "" "SOURCES;LIBRARIES" ${ARGN})
  if(MANSIO_TESTS)
    find_package(GTest REQUIRED)
    list(TRANSFORM T_SOURCES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
    file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/tests/*_test.cpp)
    mansio_unit_test(unit-${name} SOURCES ${tests} ${T_SOURCES} LIBRARIES ${T_LIBRARIES} mansio_plugin_testing Threads::Threads)
  endif()
endfunction()
