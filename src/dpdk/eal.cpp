// SPDX-License-Identifier: BSD-3-Clause
// Chooses EAL's arguments, starts it quietly, and turns its failure into a sentence. Layer: dpdk.
#include "dpdk/eal.hpp"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <string_view>

#include "dpdk/log_capture.hpp"

namespace handfast::dpdk {

namespace {

std::atomic<bool> started{false};

/// True where the user already gave one of the options, as "-m 64", "-m64", "--lcores=0" or "--lcores 0".
bool given(const std::vector<std::string>& arguments, std::initializer_list<std::string_view> options) {
  for (const std::string_view argument : arguments) {
    for (const auto option : options) {
      const bool is_short = option.size() == 2;
      if (argument == option) return true;
      if (!argument.starts_with(option)) continue;
      if (is_short || argument[option.size()] == '=') return true;
    }
  }
  return false;
}

/// A reservation that the kernel takes back at once: whether so many huge pages could be had right now.
bool huge_pages_can_be_mapped(std::uint64_t bytes) {
  void* const at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (21 << MAP_HUGE_SHIFT), -1, 0);
  if (at == MAP_FAILED) return false;
  munmap(at, bytes);
  return true;
}

std::string lcore_map(unsigned cores, const MachineFacts& facts) {
  const auto cpus = choose_cpus(cores, facts);
  std::string map;
  if (cores < facts.cpus.size() && facts.isolated_cpus.size() < cores) {
    // There is a choice, and another process may have made its own: pinned, two of them would sit on processor 0 while
    // the others idle. The kernel spreads threads that are always busy.
    std::string all;
    for (const unsigned cpu : facts.cpus) all += (all.empty() ? "" : ",") + std::to_string(cpu);
    for (unsigned core = 0; core < cores; ++core) map += (core == 0 ? "" : ",") + std::to_string(core) + "@(" + all + ")";
    return map;
  }
  for (unsigned core = 0; core < cores; ++core) {
    if (core != 0) map += ',';
    map += std::to_string(core) + '@' + std::to_string(cpus[core]);
  }
  return map;
}

void add_memory(std::vector<std::string>& out, const EalOptions& options, const MachineFacts& facts) {
  const auto& user = options.extra;
  const bool user_huge = given(user, {"--in-memory", "--socket-mem", "--huge-dir", "--legacy-mem"});
  const bool user_ordinary = given(user, {"--no-huge"});
  const std::uint64_t bytes = std::uint64_t{options.memory_mib} << 20;
  // The two modes are either-or: EAL refuses --no-huge with --in-memory.
  const bool huge = options.memory == MemoryMode::huge_pages ||
                    (options.memory == MemoryMode::automatic && facts.free_2m_bytes() >= bytes);
  if (!user_huge && (user_ordinary || !huge)) {
    if (!user_ordinary) out.emplace_back("--no-huge");
    if (!given(user, {"--no-shconf"})) out.emplace_back("--no-shconf");
  } else if (!user_huge) {
    out.emplace_back("--in-memory");
    // Without it vhost runs out of its eight memory regions, and the link stays down.
    out.emplace_back("--single-file-segments");
  }
  if (!given(user, {"-m", "--socket-mem"})) {
    out.emplace_back("-m");
    out.push_back(std::to_string(options.memory_mib));
  }
}

/// EAL's runtime directory by its own rules, or empty where RUNTIME_DIRECTORY is set.
std::string default_runtime_base() {
  if (std::getenv("RUNTIME_DIRECTORY") != nullptr) return {};
  if (getuid() == 0) return "/var/run";
  const char* const xdg = std::getenv("XDG_RUNTIME_DIR");
  return xdg != nullptr ? xdg : "/tmp";
}

/// Inside a user namespace the uid looks like 0, but /var/run is not ours. EAL then gets a directory of its
/// own; the path is returned for removal, empty where none was needed.
std::string ensure_runtime_directory() {
  const auto base = default_runtime_base();
  if (base.empty()) return {};
  std::error_code ignored;
  const auto theirs = base + "/dpdk";
  const auto& probe = std::filesystem::exists(theirs, ignored) ? theirs : base;
  if (access(probe.c_str(), W_OK | X_OK) == 0) return {};
  std::string own = std::filesystem::temp_directory_path(ignored).string() + "/handfast-XXXXXX";
  if (mkdtemp(own.data()) == nullptr) return {};
  setenv("RUNTIME_DIRECTORY", own.c_str(), 1);
  return own;
}

/// EAL says what went wrong first and that it gave up last ("FATAL: ..."): the line before that is the cause.
std::string cause_in(const std::string& text) {
  if (text.find("services array") != std::string::npos) return "it got none of the memory that was asked for";
  const auto fatal = text.find("FATAL");
  const auto before = fatal == std::string::npos ? std::string::npos : text.rfind('\n', fatal);
  auto cause = before == std::string::npos ? std::string{} : last_meaningful_line(text.substr(0, before));
  return cause.empty() ? last_meaningful_line(text) : cause;
}

std::string remedy_for(std::string_view cause, bool user_arguments) {
  const auto says = [&](std::string_view part) { return cause.find(part) != std::string_view::npos; };
  if (says("hugepage"))
    return "use ordinary pages (EAL: --no-huge --no-shconf), or sysctl vm.nr_hugepages=256 as root";
  if (says("that was asked for")) return "ask for less memory";
  if (says("core")) return "ask for cores that this process may run on (taskset -p shows them)";
  return user_arguments ? "correct the EAL arguments of your own, or leave them out"
                        : "run `handfast doctor`, and try again with EAL's log (verbose)";
}

tl::unexpected<Error> usage(std::string what, std::string remedy) {
  return tl::unexpected(Error{ErrorKind::usage, std::move(what), std::move(remedy)});
}

/// Refuses what cannot be; and forgets huge pages that the kernel counts as free but would not give.
Expected<void> check_memory(const EalOptions& options, MachineFacts& facts) {
  const std::uint64_t bytes = std::uint64_t{options.memory_mib} << 20;
  if (!given(options.extra, {"-m"}) && facts.memory_total_bytes != 0 && bytes > facts.memory_total_bytes) {
    return usage(std::to_string(options.memory_mib) + " MiB are more than this machine has",
                 "ask for less than " + std::to_string(facts.memory_total_bytes >> 20));
  }
  if (huge_pages_can_be_mapped(bytes)) return {};
  facts.huge_pages.clear();
  if (options.memory != MemoryMode::huge_pages) return {};
  return tl::unexpected(
      Error{ErrorKind::environment,
            "there are no free huge pages for " + std::to_string(options.memory_mib) + " MiB",
            "sysctl vm.nr_hugepages=" + std::to_string(options.memory_mib / 2 + 1) +
                " as root, or use ordinary pages"});
}

int init_eal(const std::vector<std::string>& arguments) {
  std::vector<std::string> words{"handfast"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  return rte_eal_init(static_cast<int>(words.size()), argv.data());
}

}  // namespace

std::vector<unsigned> choose_cpus(unsigned cores, const MachineFacts& facts) {
  const auto& from = facts.isolated_cpus.size() >= cores ? facts.isolated_cpus : facts.cpus;
  std::vector<unsigned> chosen;
  for (unsigned core = 0; core < cores; ++core) {
    chosen.push_back(from.empty() ? 0 : from[core % from.size()]);
  }
  return chosen;
}

std::vector<std::string> eal_arguments(const EalOptions& options, const MachineFacts& facts,
                                       const std::string& default_prefix) {
  std::vector<std::string> out;
  const auto& user = options.extra;
  add_memory(out, options, facts);
  if (!given(user, {"-l", "--lcores", "-c"})) {
    out.emplace_back("--lcores");
    out.push_back(lcore_map(options.cores, facts));
  }
  if (!given(user, {"--file-prefix"})) {
    out.emplace_back("--file-prefix");
    out.push_back(options.file_prefix.empty() ? default_prefix : options.file_prefix);
  }
  if (options.pci.empty() && !given(user, {"-a", "--allow", "-b", "--block"})) out.emplace_back("--no-pci");
  for (const auto& address : options.pci) {
    out.emplace_back("-a");
    out.push_back(address);
  }
  if (!options.telemetry && !given(user, {"--telemetry"})) out.emplace_back("--no-telemetry");
  if (!options.verbose) {
    out.emplace_back("--log-level=warning");
    // Some sixty lines for each peer that connects, and the tap driver's regret that it cannot classify.
    out.emplace_back("--log-level=lib.vhost*:error");
    out.emplace_back("--log-level=pmd.net.tap*:critical");
  }
  out.insert(out.end(), user.begin(), user.end());
  return out;
}

Expected<Eal> Eal::start(const EalOptions& options) {
  if (options.cores == 0 || options.cores > RTE_MAX_LCORE) {
    return usage(std::to_string(options.cores) + " cores were asked for",
                 "ask for 1 to " + std::to_string(RTE_MAX_LCORE));
  }
  if (options.memory_mib < 32) {
    return usage(std::to_string(options.memory_mib) + " MiB are too few for packet buffers",
                 "ask for 64 or more");
  }
  if (started.exchange(true)) {
    return usage("EAL was already started in this process", "start it once, and keep it to the end");
  }
  auto facts = probe_resources();
  if (auto enough = check_memory(options, facts); !enough) {
    started = false;
    return tl::unexpected(enough.error());
  }
  std::signal(SIGPIPE, SIG_IGN);
  Eal eal;
  eal.remove_at_end_ = ensure_runtime_directory();
  eal.arguments_ = eal_arguments(options, facts, "handfast-" + std::to_string(getpid()));

  std::string said;
  int result = 0;
  int reason = 0;
  if (options.verbose) {
    result = init_eal(eal.arguments_);
    reason = rte_errno;
  } else {
    LogCapture capture(LogCapture::Scope::log_and_streams);
    result = init_eal(eal.arguments_);
    reason = rte_errno;
    said = capture.text();
  }
  const bool prefix_is_ours = options.file_prefix.empty() && !given(options.extra, {"--file-prefix"});
  if (eal.remove_at_end_.empty() && prefix_is_ours) eal.remove_at_end_ = rte_eal_get_runtime_dir();
  if (result < 0) {
    auto cause = cause_in(said);
    if (cause.empty()) cause = rte_strerror(reason);
    auto remedy = remedy_for(cause, !options.extra.empty());
    return tl::unexpected(
        Error{ErrorKind::environment, "DPDK's environment did not start: " + cause, std::move(remedy)});
  }
  eal.running_ = true;
  return eal;
}

Eal::Eal(Eal&& other) noexcept
    : arguments_(std::move(other.arguments_)),
      remove_at_end_(std::exchange(other.remove_at_end_, {})),
      running_(std::exchange(other.running_, false)) {}

Eal::~Eal() {
  if (running_) {
    LogCapture quiet;
    rte_eal_cleanup();
  }
  if (!remove_at_end_.empty()) {
    std::error_code ignored;
    std::filesystem::remove_all(remove_at_end_, ignored);
  }
}

unsigned Eal::cores() const { return rte_lcore_count(); }

}  // namespace handfast::dpdk
