// The two walls of drop_privileges() that the kernel may lack: Landlock (files) and seccomp (system calls).
// An error says what is not in force; the role runs on.
#pragma once

#include "kernel/base/result.hpp"
#include "kernel/process/privilege.hpp"

// The leak checker looks at its own threads with ptrace, so that sanitized builds leave it that.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MANSIO_TRACES_ITSELF 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MANSIO_TRACES_ITSELF 1
#endif
#endif

namespace mansio::process {

Result<void> restrict_files(const Privileges &keep);
Result<void> restrict_system_calls(const Privileges &keep);

}  // namespace mansio::process
