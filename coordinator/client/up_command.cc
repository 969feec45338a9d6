#include "coordinator/client/commands.h"
namespace tanren::coordinator {
void AddUp(CLI::App&, const CommonOptions&, Action&) {}
}  // namespace tanren::coordinator
