// A coordinator in the test's process, on a port that the kernel chose, over a disk that can be
// made to fail and that outlives it.
#ifndef TANREN_TESTS_COORDINATOR_SERVER_COORDINATOR_UNDER_TEST_H_
#define TANREN_TESTS_COORDINATOR_SERVER_COORDINATOR_UNDER_TEST_H_

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/server/server.h"
#include "coordinator/store/memory_store.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "proto/coordinator.grpc.pb.h"
#include "tests/patience.h"
#include "tests/temporary_folder.h"

namespace tanren::coordinator {

class CoordinatorUnderTest {
 public:
  ~CoordinatorUnderTest();

  // Begins with what is on the disk, on the same port where it ran before. `options.listen` and
  // `options.folder` are set here.
  void Start(ServerOptions options = {});
  // Without a word, as far as a process can do it to itself.
  void Stop();

  Server& server() { return *server_; }
  MemoryStore& disk() { return disk_; }
  // As long as it is set nothing can be written, however often the store is opened.
  void SetDiskFull(bool full) { disk_full_ = full; }
  const std::string& admin_token() const { return admin_token_; }
  const std::string& agent_token() const { return agent_token_; }
  const std::string& address() const { return address_; }
  std::shared_ptr<grpc::Channel> channel() const { return channel_; }
  // A token of its own for these roles.
  std::string TokenFor(const std::string& user, const std::vector<std::string>& roles,
                       const std::string& node = "");
  // Lines of the audit that hold the text.
  std::vector<std::string> Audited(const std::string& text) const;

  std::unique_ptr<Jobs::Stub> jobs() const { return Jobs::NewStub(channel_); }
  std::unique_ptr<Admin::Stub> admin() const { return Admin::NewStub(channel_); }

  // One submission of /bin/true of one rank; the job's id, 0 if it was refused (`status` says why).
  uint64_t Submit(const std::string& request_id, grpc::Status* status = nullptr);
  Job Get(uint64_t job);
  // Until the job is in that state; fails the test after kPatience.
  Job WaitFor(uint64_t job, JobState state);

 private:
  MemoryStore disk_;
  std::atomic<bool> disk_full_ = false;
  const TemporaryFolder temporary_;
  const std::filesystem::path folder_ = temporary_.path();
  std::unique_ptr<Server> server_;
  std::string address_ = "127.0.0.1:0";
  std::string admin_token_;
  std::string agent_token_;
  std::shared_ptr<grpc::Channel> channel_;
};

// The token, and a deadline.
void Prepare(grpc::ClientContext& context, const std::string& token,
             double seconds = kPatience.count());

// Of one rank of one core.
JobSpec SmallJob(const std::string& name = "small");

}  // namespace tanren::coordinator

#endif  // TANREN_TESTS_COORDINATOR_SERVER_COORDINATOR_UNDER_TEST_H_
