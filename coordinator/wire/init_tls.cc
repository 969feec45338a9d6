// Makes an authority and the certificates that it signs, and renews those.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "coordinator/wire/certificates.h"
#include "coordinator/wire/identity.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/terminal.h"
#include "runtime/telemetry/process_identity.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNames[] = {"ca", "coordinator", "agent", "client"};

// Beside those of `subjects`.
absl::StatusOr<std::string> SubjectNames(const InitTlsOptions& options,
                                         std::vector<std::string> subjects) {
  std::vector<std::string> names = {"localhost", "127.0.0.1", "::1", telemetry::HostName()};
  names.insert(names.end(), options.coordinator_names.begin(), options.coordinator_names.end());
  for (const std::string& name : names) {
    TANREN_ASSIGN_OR_RETURN(std::string subject, SubjectName(name));
    if (std::count(subjects.begin(), subjects.end(), subject) == 0) subjects.push_back(subject);
  }
  return absl::StrJoin(subjects, ",");
}

absl::Status PrepareFolder(const fs::path& folder) {
  for (const char* name : kNames) {
    for (const char* suffix : {".key", ".crt"}) {
      const fs::path path = folder / (std::string(name) + suffix);
      std::error_code ignored;
      if (fs::symlink_status(path, ignored).type() != fs::file_type::not_found) {
        return absl::AlreadyExistsError(fmt::format(
            "{}: exists; name another folder, for certificates in use aren't overwritten",
            path.string()));
      }
    }
  }
  std::error_code ignored;
  if (fs::is_directory(folder, ignored)) return absl::OkStatus();
  if (folder.has_parent_path()) TANREN_RETURN_IF_ERROR(MakeDirectories(folder.parent_path()));
  if (mkdir(folder.c_str(), 0700) != 0) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't make the folder", folder.string()));
  }
  return absl::OkStatus();
}

absl::Status CheckDays(const InitTlsOptions& options) {
  if (options.valid_days >= 1 && options.ca_valid_days >= options.valid_days) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(fmt::format(
      "certificates for {} days under an authority for {}: expected at least 1, and no more than "
      "the authority's",
      options.valid_days, options.ca_valid_days));
}

// The three that the authority signs.
absl::Status WriteCertificates(const InitTlsOptions& options, const Identity& authority,
                               const std::string& names) {
  const int days = options.valid_days;
  TANREN_ASSIGN_OR_RETURN(const Identity coordinator,
                          MakeCertificate("coordinator", authority, days, "serverAuth", names));
  TANREN_ASSIGN_OR_RETURN(const Identity agent,
                          MakeCertificate("agent", authority, days, "clientAuth", ""));
  TANREN_ASSIGN_OR_RETURN(const Identity client,
                          MakeCertificate("client", authority, days, "clientAuth", ""));
  TANREN_RETURN_IF_ERROR(WriteIdentity(coordinator, options.folder / "coordinator"));
  TANREN_RETURN_IF_ERROR(WriteIdentity(agent, options.folder / "agent"));
  return WriteIdentity(client, options.folder / "client");
}

// That of the folder. No certificate outlives it.
absl::StatusOr<Identity> ReadAuthority(const fs::path& folder, int days) {
  TANREN_ASSIGN_OR_RETURN(Identity authority, ReadIdentity(folder / "ca", WallMs()));
  int left = 0;
  int seconds = 0;
  if (ASN1_TIME_diff(&left, &seconds, nullptr, X509_get0_notAfter(authority.certificate.get())) ==
          1 &&
      days > left) {
    return absl::InvalidArgumentError(
        fmt::format("{}: the authority itself ends in {} days, and {} were asked for",
                    (folder / "ca.crt").string(), left, days));
  }
  return authority;
}

}  // namespace

absl::Status InitTls(const InitTlsOptions& options) {
  TANREN_RETURN_IF_ERROR(CheckDays(options));
  TANREN_ASSIGN_OR_RETURN(const std::string names, SubjectNames(options, {}));
  TANREN_RETURN_IF_ERROR(PrepareFolder(options.folder));
  TANREN_ASSIGN_OR_RETURN(
      const Identity authority,
      MakeAuthority("Tanren authority of " + telemetry::HostName().substr(0, 40),
                    options.ca_valid_days));
  TANREN_RETURN_IF_ERROR(WriteIdentity(authority, options.folder / "ca"));
  return WriteCertificates(options, authority, names);
}

absl::Status RenewTls(const InitTlsOptions& options) {
  TANREN_ASSIGN_OR_RETURN(const Identity authority,
                          ReadAuthority(options.folder, options.valid_days));
  // What was named before is named again; an old certificate may have expired.
  std::vector<std::string> before;
  if (const auto old = ReadCertificate(options.folder / "coordinator.crt"); old.ok()) {
    before = SubjectNamesOf(old->get());
  }
  TANREN_ASSIGN_OR_RETURN(const std::string names, SubjectNames(options, std::move(before)));
  return WriteCertificates(options, authority, names);
}

absl::Status MakeNodeCertificate(const fs::path& folder, const std::string& node, int days) {
  const bool is_name = !node.empty() && node.size() <= 64 &&
                       absl::ascii_isalnum(static_cast<unsigned char>(node.front())) &&
                       std::all_of(node.begin(), node.end(), [](unsigned char c) {
                         return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
                       });
  if (!is_name || std::count(std::begin(kNames), std::end(kNames), node) > 0) {
    return absl::InvalidArgumentError(fmt::format(
        "node \"{}\": expected 1 to 64 letters, digits, \".\", \"_\", \"-\", and none of {}",
        OnOneLine(node), absl::StrJoin(kNames, ", ")));
  }
  TANREN_ASSIGN_OR_RETURN(const Identity authority, ReadAuthority(folder, days));
  TANREN_ASSIGN_OR_RETURN(const Identity identity,
                          MakeCertificate(node, authority, days, "clientAuth", "DNS:" + node));
  return WriteIdentity(identity, folder / node);
}

}  // namespace tanren::coordinator
