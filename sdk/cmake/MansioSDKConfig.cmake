# find_package(MansioSDK 1 REQUIRED): what a plugin is built with.
#
#   Mansio::SDK         the headers (mansio/abi.h for C, mansio/plugin.hpp for C++20)
#   Mansio::SDKTesting  the fake host for unit tests (mansio/testing/fake_host.hpp)
#   mansio_add_plugin(NAME SOURCES...)  a target NAME that makes NAME.so, which exports its entry and nothing else
include(CMakeFindDependencyMacro)
find_dependency(Threads)

get_filename_component(_mansio_prefix "${CMAKE_CURRENT_LIST_DIR}/@MANSIO_SDK_UP@" ABSOLUTE)
set(MANSIO_SDK_PLUGIN_MAP "${CMAKE_CURRENT_LIST_DIR}/plugin.map")

if(NOT TARGET Mansio::SDK)
  add_library(Mansio::SDK INTERFACE IMPORTED)
  set_target_properties(Mansio::SDK PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${_mansio_prefix}/@CMAKE_INSTALL_INCLUDEDIR@")
  add_library(Mansio::SDKTesting INTERFACE IMPORTED)
  set_target_properties(Mansio::SDKTesting PROPERTIES INTERFACE_LINK_LIBRARIES "Mansio::SDK;Threads::Threads")
endif()

function(mansio_add_plugin name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE Mansio::SDK)
  target_compile_features(${name} PRIVATE c_std_11 cxx_std_20)
  set_target_properties(${name} PROPERTIES PREFIX "" C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden
                        POSITION_INDEPENDENT_CODE ON)
  target_link_options(${name} PRIVATE "LINKER:--version-script=${MANSIO_SDK_PLUGIN_MAP}" "LINKER:-z,defs")
endfunction()
