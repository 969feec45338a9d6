#include "coordinator/server/credentials.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "runtime/base/error.h"
#include "runtime/base/terminal.h"

namespace tanren::coordinator {
namespace {

constexpr std::string_view kPrefix = "tnr_";
constexpr size_t kIdBytes = 6;
constexpr size_t kSecretBytes = 32;
constexpr size_t kHashBytes = 32;
constexpr size_t kLongestHeader = 256;

constexpr CallerRole kRoles[] = {CallerRole::kView, CallerRole::kSubmit, CallerRole::kAdmin,
                                 CallerRole::kAgent};

absl::StatusOr<std::string> RandomHex(size_t size) {
  std::string bytes(size, '\0');
  size_t filled = 0;
  while (filled < size) {
    const ssize_t got = getrandom(bytes.data() + filled, size - filled, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, "no random numbers");
    filled += static_cast<size_t>(got);
  }
  return absl::BytesToHexString(bytes);
}

// In a time that doesn't depend on where they differ.
bool SameHash(std::string_view a, std::string_view b) {
  return a.size() == kHashBytes && b.size() == kHashBytes &&
         CRYPTO_memcmp(a.data(), b.data(), kHashBytes) == 0;
}

struct TokenParts {
  std::string_view id;
  std::string_view secret;
};

std::optional<TokenParts> PartsOf(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() > kLongestHeader || authorization.size() < kScheme.size() ||
      !absl::EqualsIgnoreCase(absl::string_view(authorization.data(), kScheme.size()),
                              absl::string_view(kScheme.data(), kScheme.size()))) {
    return std::nullopt;
  }
  std::string_view token = authorization.substr(kScheme.size());
  if (!token.starts_with(kPrefix)) return std::nullopt;
  token.remove_prefix(kPrefix.size());
  const size_t end = token.find('_');
  if (end == std::string_view::npos) return std::nullopt;
  return TokenParts{token.substr(0, end), token.substr(end + 1)};
}

absl::Status CheckName(std::string_view kind, const std::string& name) {
  const bool good = !name.empty() && name.size() <= 64 && name[0] != '-' && name[0] != '.' &&
                    std::all_of(name.begin(), name.end(), [](unsigned char c) {
                      return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
                    });
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{} \"{}\": expected 1 to 64 letters, digits, \".\", \"_\", \"-\", not beginning "
                  "with \"-\" or \".\"",
                  kind, OnOneLine(name)));
}

absl::Status CheckRoles(const std::vector<std::string>& roles) {
  const std::set<std::string> distinct(roles.begin(), roles.end());
  if (distinct.empty()) return absl::InvalidArgumentError("a token needs at least one role");
  for (const std::string& role : distinct) {
    if (std::none_of(std::begin(kRoles), std::end(kRoles),
                     [&](CallerRole known) { return RoleName(known) == role; })) {
      return absl::InvalidArgumentError(
          fmt::format("role \"{}\": expected view, submit, admin or agent", OnOneLine(role)));
    }
  }
  // An agent's token lies on every machine.
  if (distinct.size() > 1 && distinct.contains("agent")) {
    return absl::InvalidArgumentError("the role agent goes with no other: make two tokens");
  }
  return absl::OkStatus();
}

absl::Status StandingOf(const Credential& credential, int64_t now_ms) {
  if (credential.revoked_ms() != 0) return absl::UnauthenticatedError("the token was revoked");
  if (credential.expires_ms() != 0 && credential.expires_ms() <= now_ms) {
    return absl::UnauthenticatedError("the token has expired");
  }
  return absl::OkStatus();
}

Record RecordOf(const Credential& credential) {
  return {RecordKind::kCredential, credential.id(), credential.SerializeAsString()};
}

}  // namespace

std::string Sha256(std::string_view text) {
  std::string hash(kHashBytes, '\0');
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(hash.data()), &size,
                 EVP_sha256(), nullptr) != 1 ||
      size != kHashBytes) {
    return "";  // equals no hash
  }
  return hash;
}

std::string_view RoleName(CallerRole role) {
  switch (role) {
    case CallerRole::kView:
      return "view";
    case CallerRole::kSubmit:
      return "submit";
    case CallerRole::kAdmin:
      return "admin";
    case CallerRole::kAgent:
      return "agent";
  }
  return "";
}

absl::Status Credentials::Load(const std::vector<Record>& records) {
  for (const Record& record : records) {
    if (record.kind == RecordKind::kCredential) TANREN_RETURN_IF_ERROR(Apply(record));
  }
  return absl::OkStatus();
}

absl::Status Credentials::Apply(const Record& record) {
  Credential credential;
  if (record.kind != RecordKind::kCredential || !credential.ParseFromString(record.value) ||
      credential.id() != record.key) {
    return absl::DataLossError(
        fmt::format("the record of credential \"{}\" isn't one", OnOneLine(record.key)));
  }
  const std::unique_lock lock(mutex_);
  by_id_[credential.id()] = std::move(credential);
  return absl::OkStatus();
}

absl::StatusOr<Credential> Credentials::Find(std::string_view authorization) const {
  const auto denied = [] {
    return absl::UnauthenticatedError("a valid token is needed (authorization: Bearer TOKEN)");
  };
  const auto parts = PartsOf(authorization);
  if (!parts) return denied();
  const std::string hash = Sha256(parts->secret);
  Credential credential;
  {
    const std::shared_lock lock(mutex_);
    const auto found = by_id_.find(parts->id);
    if (found != by_id_.end()) credential = found->second;
  }
  // One that isn't known has no hash, which nothing equals.
  if (!SameHash(hash, credential.secret_sha256())) return denied();
  TANREN_RETURN_IF_ERROR(StandingOf(credential, wall_ms_()));
  return credential;
}

absl::Status Credentials::CheckToken(std::string_view authorization) const {
  return Find(authorization).status();
}

absl::Status Credentials::Standing(std::string_view id) const {
  const std::shared_lock lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return absl::UnauthenticatedError("there is no such token");
  return StandingOf(found->second, wall_ms_());
}

absl::StatusOr<Caller> Credentials::Check(std::string_view authorization,
                                          std::span<const CallerRole> allowed) const {
  TANREN_ASSIGN_OR_RETURN(const Credential credential, Find(authorization));
  Caller caller{credential.user(),
                {credential.roles().begin(), credential.roles().end()},
                credential.id(),
                credential.node()};
  for (const CallerRole role : allowed) {
    if (caller.Has(role)) return caller;
  }
  std::vector<std::string> names;
  for (const CallerRole role : allowed) names.emplace_back(RoleName(role));
  return absl::PermissionDeniedError(
      fmt::format("the token of {} has the role {}, and this takes {}", caller.user,
                  absl::StrJoin(caller.roles, ", "),
                  names.empty() ? "none that exists" : absl::StrJoin(names, " or ")));
}

absl::StatusOr<IssuedToken> Credentials::Issue(const Wanted& wanted) const {
  TANREN_RETURN_IF_ERROR(CheckName("user", wanted.user));
  TANREN_RETURN_IF_ERROR(CheckRoles(wanted.roles));
  if (!wanted.node.empty()) {
    TANREN_RETURN_IF_ERROR(CheckName("node", wanted.node));
    if (wanted.roles[0] != RoleName(CallerRole::kAgent)) {
      return absl::InvalidArgumentError("only a token of role agent is for a node");
    }
  }
  const int64_t now = wall_ms_();
  if (wanted.expires_ms != 0 && wanted.expires_ms <= now) {
    return absl::InvalidArgumentError(
        fmt::format("the token would have expired {} ms ago", now - wanted.expires_ms));
  }
  {
    const std::shared_lock lock(mutex_);
    for (const auto& [id, credential] : by_id_) {
      if (!wanted.request_id.empty() && credential.request_id() == wanted.request_id &&
          credential.created_by() == wanted.by) {
        return absl::AlreadyExistsError(
            fmt::format("token {} was made by this request before, and its secret isn't kept: if "
                        "the answer was "
                        "lost, revoke it and make another",
                        id));
      }
    }
  }
  IssuedToken issued;
  Credential& credential = issued.credential;
  TANREN_ASSIGN_OR_RETURN(const std::string id, RandomHex(kIdBytes));
  TANREN_ASSIGN_OR_RETURN(const std::string secret, RandomHex(kSecretBytes));
  issued.token = fmt::format("{}{}_{}", kPrefix, id, secret);
  credential.set_id(id);
  credential.set_user(wanted.user);
  for (const std::string& role : std::set(wanted.roles.begin(), wanted.roles.end())) {
    credential.add_roles(role);
  }
  credential.set_secret_sha256(Sha256(secret));
  if (credential.secret_sha256().size() != kHashBytes) return absl::InternalError("no SHA-256");
  credential.set_created_ms(now);
  credential.set_expires_ms(wanted.expires_ms);
  credential.set_created_by(wanted.by);
  credential.set_request_id(wanted.request_id);
  credential.set_node(wanted.node);
  issued.record = RecordOf(credential);
  return issued;
}

absl::StatusOr<Record> Credentials::Revoke(const std::string& id, const std::string& by) const {
  const std::shared_lock lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) {
    return absl::NotFoundError(fmt::format("there is no token \"{}\"", OnOneLine(id)));
  }
  Credential credential = found->second;
  if (credential.revoked_ms() == 0) {
    credential.set_revoked_ms(wall_ms_());
    credential.set_revoked_by(by);
  }
  return RecordOf(credential);
}

std::vector<Credential> Credentials::List() const {
  std::vector<Credential> credentials;
  {
    const std::shared_lock lock(mutex_);
    for (const auto& [id, credential] : by_id_) credentials.push_back(credential);
  }
  for (Credential& credential : credentials) credential.clear_secret_sha256();
  std::stable_sort(
      credentials.begin(), credentials.end(),
      [](const Credential& a, const Credential& b) { return a.created_ms() < b.created_ms(); });
  return credentials;
}

bool Credentials::HasValid(CallerRole role) const {
  const int64_t now = wall_ms_();
  const std::shared_lock lock(mutex_);
  return std::any_of(by_id_.begin(), by_id_.end(), [&](const auto& entry) {
    const Credential& credential = entry.second;
    return StandingOf(credential, now).ok() &&
           std::count(credential.roles().begin(), credential.roles().end(), RoleName(role)) > 0;
  });
}

bool Credentials::NodeHasItsOwn(std::string_view node) const {
  const int64_t now = wall_ms_();
  const std::shared_lock lock(mutex_);
  return std::any_of(by_id_.begin(), by_id_.end(), [&](const auto& entry) {
    return entry.second.node() == node && StandingOf(entry.second, now).ok();
  });
}

}  // namespace tanren::coordinator
