// The human part of a DSN: built-in texts, and the loader of `bounce_template_file`. The file's form is the one that
// Postfix users know from bounce(5):
//
//   failure_template = <<EOF
//   Charset: utf-8
//   From: MAILER-DAEMON (Mail Delivery System)
//   Subject: Your message was not delivered
//   Postmaster-Subject: A message was not delivered
//
//   Text with $variables, until the line that ends it.
//   EOF
//
// and the same for delay_template and success_template; one that is missing keeps its built-in text, and a
// verify_template is accepted and has no effect. '#' begins a comment outside of templates. "$$" is a dollar sign.
// Variables: $mail_name $myhostname $mydomain $queue_id $sender $arrival_date $expiry_date $delay_hours $reasons
// (also in braces: ${sender}). An unknown variable is an error. The recipients and their reasons follow the text
// unless $reasons places them.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "kernel/base/result.hpp"

namespace mansio::dsn {

struct Template {
  std::string charset = "us-ascii";  // or "utf-8"
  std::string from = "MAILER-DAEMON (Mail Delivery System)";
  std::string subject;
  std::string postmaster_subject;  // "" = subject
  std::string body;                // lines end in '\n'
  std::string postmaster_body;     // "" = body; of built-in texts only
};

struct Templates {
  Template failure, delay, success;
};

Templates default_templates();

// Errors are Status::BadConfig with "NAME:LINE: what is wrong".
Result<Templates> parse_templates(std::string_view text, std::string_view file_name);

// `value` of each variable in `text`; a name it does not know was refused by parse_templates.
std::string expand(std::string_view text, const std::function<std::string(std::string_view)> &value);
bool mentions(std::string_view text, std::string_view variable);

}  // namespace mansio::dsn
