// A table that is read from a file, and read again when the file is another one or was written to. One thread.
//
// A file that is gone, cannot be read or has a line that is not understood leaves the table as it was: half of an edit
// must not make recipients unknown. Each such state is reported once.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/lookup-common/file_identity.hpp"
#include "plugins/lookup-file/tables/table.hpp"

namespace mansio::lookup {

class FileTable {
 public:
  struct Settings {
    TableType type = TableType::Text;
    bool fold_case = true;
    std::string path;
  };
  using Report = std::function<void(const std::string &text)>;

  // Throws BadConfig for "path" when the file cannot be used.
  FileTable(Settings settings, Report reloaded, Report problem);
  Answer lookup(std::string_view key);

 private:
  void reload(const std::optional<FileVersion> &now);

  Settings settings_;
  Report reloaded_, problem_;
  std::unique_ptr<const MemoryTable> table_;
  std::optional<FileVersion> seen_;
};

// What is wrong with the table in a file, put so that it goes on from the name of the option "path"; "" = nothing.
std::string problem_text(const std::string &path, const std::vector<plugin::TextTableProblem> &problems);

// The whole of a file, and the version that was read. Nothing: errno says why.
struct FileText {
  std::string text;
  FileVersion version;
};
std::optional<FileText> read_table_file(const std::string &path);

}  // namespace mansio::lookup
