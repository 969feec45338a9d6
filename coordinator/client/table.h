// Columns of text for a terminal.
#ifndef TANREN_COORDINATOR_CLIENT_TABLE_H_
#define TANREN_COORDINATOR_CLIENT_TABLE_H_

#include <string>
#include <vector>

namespace tanren::coordinator {

class Table {
 public:
  // A heading that begins with ">" stands above a column of numbers: aligned to the right.
  explicit Table(std::vector<std::string> headings);
  // Cells beyond the headings are dropped, missing ones empty. Control characters are shown as
  // \xNN.
  void Add(std::vector<std::string> cells);
  // A line for each row, without trailing spaces. Columns in which every cell is empty are left
  // out. Lines are cut at `width` characters; 0: never.
  std::string Render(int width = 0) const;

 private:
  std::vector<std::string> headings_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

// The columns of the terminal on standard output; 0 if it is none.
int TerminalWidth();

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_CLIENT_TABLE_H_
