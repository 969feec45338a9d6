// admin token, admin init-tls, admin restore: who is let in, and how a history comes back.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "coordinator/client/admin_commands.h"
#include "coordinator/client/exit_codes.h"
#include "coordinator/client/json_text.h"
#include "coordinator/client/quantities.h"
#include "coordinator/client/table.h"
#include "coordinator/client/worker_commands.h"
#include "coordinator/wire/certificates.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"
#include "runtime/base/terminal.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

// Never replaces one.
absl::Status WriteTokenFile(const fs::path& path, const std::string& token) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return absl::InternalError(fmt::format("{}: {}", path.string(), strerror(errno)));
  const std::string line = token + "\n";
  const bool written = write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  close(file);
  if (written) return absl::OkStatus();
  return absl::InternalError(fmt::format("{}: can't be written", path.string()));
}

struct IssueArguments {
  IssueTokenRequest request;
  std::vector<std::string> roles = {"submit"};
  std::string valid;
  std::string out;
};

absl::StatusOr<int> Issue(const CommonOptions& common, const IssueArguments& arguments) {
  IssueTokenRequest request = arguments.request;
  for (const std::string& role : arguments.roles) request.add_roles(role);
  if (!arguments.valid.empty()) {
    auto valid = ParseDuration(arguments.valid);
    if (!valid.ok()) return Annotate(valid.status(), "--valid");
    request.set_valid_ms(*valid);
  }
  if (request.request_id().empty()) request.set_request_id(NewRequestId());
  if (!arguments.out.empty() && fs::exists(arguments.out)) {
    return absl::AlreadyExistsError(fmt::format("{}: is there already", arguments.out));
  }
  TANREN_ASSIGN_OR_RETURN(const auto client, common.Connect());
  TANREN_ASSIGN_OR_RETURN(IssueTokenReply reply,
                          client->Call(client->admin(), &Admin::Stub::IssueToken, request));
  if (!arguments.out.empty()) {
    TANREN_RETURN_IF_ERROR(WriteTokenFile(arguments.out, reply.token()));
    reply.clear_token();
  }
  if (common.json) {
    fmt::print("{}\n", JsonLine(reply));
  } else if (!arguments.out.empty()) {
    fmt::print("{}: the token {} of {}\n", arguments.out, reply.info().id(), reply.info().user());
  } else {
    fmt::print("{}\n", reply.token());
  }
  return kDone;
}

absl::StatusOr<int> Revoke(const CommonOptions& common, const std::string& id) {
  TANREN_ASSIGN_OR_RETURN(const auto client, common.Connect());
  RevokeTokenRequest request;
  request.set_request_id(NewRequestId());
  request.set_id(id);
  TANREN_ASSIGN_OR_RETURN(const RevokeTokenReply reply,
                          client->Call(client->admin(), &Admin::Stub::RevokeToken, request));
  if (common.json) {
    fmt::print("{}\n", JsonLine(reply.info()));
  } else {
    fmt::print("token {} of {}: revoked\n", reply.info().id(), reply.info().user());
  }
  return kDone;
}

absl::StatusOr<int> ListTokens(const CommonOptions& common) {
  TANREN_ASSIGN_OR_RETURN(const auto client, common.Connect());
  TANREN_ASSIGN_OR_RETURN(
      const ListTokensReply reply,
      client->Call(client->admin(), &Admin::Stub::ListTokens, ListTokensRequest()));
  if (common.json) {
    fmt::print("{}\n", JsonLine(reply));
    return kDone;
  }
  const int64_t now = WallMs();
  Table table({"TOKEN", "USER", "ROLES", "NODE", "STATE", "MADE", "BY"});
  for (const TokenInfo& token : reply.tokens()) {
    const bool expired = token.expires_ms() != 0 && token.expires_ms() <= now;
    const std::string state = token.revoked_ms() != 0 ? "revoked"
                              : expired               ? "expired"
                              : token.expires_ms() != 0
                                  ? "until " + FormatTime(token.expires_ms(), now)
                                  : "valid";
    table.Add({token.id(), token.user(), absl::StrJoin(token.roles(), " "), token.node(), state,
               FormatTime(token.created_ms(), now), token.created_by()});
  }
  fmt::print("{}", table.Render(TerminalWidth()));
  return kDone;
}

absl::StatusOr<int> MakeCertificates(const InitTlsOptions& options) {
  TANREN_RETURN_IF_ERROR(InitTls(options));
  const std::string folder = options.folder.string();
  fmt::print(
      "{0}: an authority and certificates of {1} days\n"
      "  coordinator  tanren-coordinator --listen 0.0.0.0:7411 --tls-certificate "
      "{0}/coordinator.crt --tls-key {0}/coordinator.key --tls-client-ca {0}/ca.crt\n"
      "  agents       tanren-agent --coordinator HOST:7411 --ca ca.crt --certificate agent.crt "
      "--key agent.key --token-file agent.token\n"
      "  people       tanren --coordinator HOST:7411 --ca ca.crt --certificate client.crt --key "
      "client.key --token-file FILE, or the same in ~/.config/tanren/client.yaml\n"
      "ca.key signs further ones: keep it off the cluster.\n",
      folder, options.valid_days);
  return kDone;
}

absl::StatusOr<int> RenewCertificates(const InitTlsOptions& options) {
  TANREN_RETURN_IF_ERROR(RenewTls(options));
  fmt::print(
      "{0}: new certificates of {1} days, by the same authority\n"
      "A coordinator that is given {0}/coordinator.crt takes it within seconds, an agent its own\n"
      "within a minute; copies of the old ones are good until they end.\n",
      options.folder.string(), options.valid_days);
  return kDone;
}

absl::StatusOr<int> MakeCertificateOfNode(const fs::path& folder, const std::string& node,
                                          int days) {
  TANREN_RETURN_IF_ERROR(MakeNodeCertificate(folder, node, days));
  fmt::print("{0}/{1}.crt, {0}/{1}.key: of {2} days, for the agent of node {1} alone\n",
             folder.string(), node, days);
  return kDone;
}

// The coordinator's own program has the store.
absl::StatusOr<int> BecomeRestore(const std::string& backup, const std::string& state) {
  TANREN_ASSIGN_OR_RETURN(const fs::path program, FindSibling("tanren-coordinator"));
  std::vector<std::string> words = {program.string()};
  if (!state.empty()) words.insert(words.end(), {"--state", state});
  words.insert(words.end(), {"restore", backup});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execv(arguments[0], arguments.data());
  return absl::InternalError(fmt::format("{}: {}", words[0], strerror(errno)));
}

void AddTokenCommands(CLI::App& admin, const CommonOptions& common, Action& action) {
  CLI::App* token = admin.add_subcommand("token", "Who may do what")->require_subcommand(1);
  auto arguments = std::make_shared<IssueArguments>();
  CLI::App* issue = token->add_subcommand("issue", "Make a token; it is shown this once");
  issue->add_option("user", *arguments->request.mutable_user(), "Whom it stands for")->required();
  issue
      ->add_option("--roles", arguments->roles,
                   "Of: view, submit, admin; or agent, for a machine's agent")
      ->delimiter(',')
      ->capture_default_str();
  issue->add_option("--node", *arguments->request.mutable_node(),
                    "With --roles agent: the one machine that it is for");
  issue->add_option("--valid", arguments->valid, "For so long, as 30d; default: until revoked");
  issue->add_option("--out", arguments->out, "A new file for it, of mode 0600");
  issue->add_option("--request-id", *arguments->request.mutable_request_id(), "Names this change");
  issue->callback(
      [=, &common, &action] { action = [=, &common] { return Issue(common, *arguments); }; });
  auto id = std::make_shared<std::string>();
  CLI::App* revoke = token->add_subcommand("revoke", "Let a token count no more");
  revoke->add_option("token", *id, "What stands between tnr_ and _ in it")->required();
  revoke->callback(
      [=, &common, &action] { action = [=, &common] { return Revoke(common, *id); }; });
  token->add_subcommand("list", "All tokens, without their secrets")->callback([&common, &action] {
    action = [&common] { return ListTokens(common); };
  });
}

}  // namespace

void AddAdminSecurity(CLI::App& admin, const CommonOptions& common, Action& action) {
  AddTokenCommands(admin, common, action);
  auto tls = std::make_shared<InitTlsOptions>();
  auto folder = std::make_shared<std::string>();
  CLI::App* init = admin.add_subcommand(
      "init-tls", "Make an authority and the certificates of a coordinator, agents and people");
  init->add_option("folder", *folder, "Where they are put")->required();
  init->add_option(
      "--name", tls->coordinator_names,
      "A name or address by which the coordinator is reached; may be given repeatedly");
  init->add_option("--days", tls->valid_days, "How long they are valid")
      ->check(CLI::Range(1, 36500))
      ->capture_default_str();
  auto renew = std::make_shared<bool>(false);
  init->add_flag("--renew", *renew, "Make them anew by the authority that is there");
  init->callback([=, &action] {
    tls->folder = *folder;
    action = [=] { return *renew ? RenewCertificates(*tls) : MakeCertificates(*tls); };
  });
  auto node = std::make_shared<std::string>();
  CLI::App* node_certificate = admin.add_subcommand(
      "node-certificate", "Make a certificate that is good for the agent of one machine alone");
  node_certificate->add_option("folder", *folder, "Where ca.crt and ca.key are")->required();
  node_certificate->add_option("node", *node, "The machine's name")->required();
  node_certificate->add_option("--days", tls->valid_days, "How long it is valid")
      ->check(CLI::Range(1, 36500))
      ->capture_default_str();
  node_certificate->callback([=, &action] {
    action = [=] { return MakeCertificateOfNode(*folder, *node, tls->valid_days); };
  });
  auto backup = std::make_shared<std::string>();
  auto state = std::make_shared<std::string>();
  CLI::App* restore = admin.add_subcommand(
      "restore", "Put a backup where there is no history; what ran since it is fenced");
  restore->add_option("backup", *backup, "What `backup` wrote")->required();
  restore->add_option("--state", *state, "The coordinator's folder; default: its own default");
  restore->callback([=, &action] { action = [=] { return BecomeRestore(*backup, *state); }; });
}

}  // namespace tanren::coordinator
