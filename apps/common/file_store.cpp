// SPDX-License-Identifier: BSD-3-Clause
// Reading a directory at start, and finding its files by request target. Layer: apps.
#include "common/file_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include "common/http_request.hpp"

namespace handfast::apps {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view index_name = "index.html";

tl::unexpected<Error> cannot_read(const fs::path& path, int code) {
  return tl::unexpected<Error>{
      Error{ErrorKind::environment,
            fmt::format("Cannot read {}: {}", path.string(), std::generic_category().message(code)),
            "Name a directory that exists and that this user may read."}};
}

std::optional<unsigned> hex_value(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  return std::nullopt;
}

using PathRoom = std::array<char, FileStore::max_path_bytes>;

// Without the query, escapes decoded, into `room`. Nullopt: a broken escape, a control character, no leading
// slash or too long.
std::optional<std::string_view> decode_path(std::string_view target, PathRoom& room) {
  target = target.substr(0, target.find('?'));
  if (target.empty() || target.front() != '/') return std::nullopt;
  std::size_t length = 0;
  for (std::size_t i = 0; i < target.size(); ++i) {
    char c = target[i];
    if (c == '%') {
      if (target.size() - i < 3) return std::nullopt;
      const auto high = hex_value(target[i + 1]);
      const auto low = hex_value(target[i + 2]);
      if (!high || !low) return std::nullopt;
      c = static_cast<char>(*high * 16 + *low);
      i += 2;
    }
    if ((c >= 0 && c < 0x20) || c == 0x7f || length == room.size()) return std::nullopt;
    room[length++] = c;
  }
  return std::string_view{room.data(), length};
}

// Decoded once, after which nothing decodes again: "%2e%2e" is seen here, and "%252e" is just a name.
bool climbs(std::string_view path) {
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const std::size_t end = path.find('/');
    if (path.substr(0, end) == "..") return true;
    if (end == std::string_view::npos) return false;
    path.remove_prefix(end);
  }
  return false;
}

bool is_inside(const fs::path& root, const fs::path& canonical) {
  const std::string prefix = (root / "").string();
  return canonical.string().starts_with(prefix);
}

}  // namespace

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

Expected<MappedFile> MappedFile::open(const fs::path& path) {
  // Without following links or waiting for a pipe's writer: the path was resolved, and may have been
  // replaced.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor < 0) return cannot_read(path, errno);
  struct stat status {};
  int problem = ::fstat(descriptor, &status) == 0 ? 0 : errno;
  if (problem == 0 && !S_ISREG(status.st_mode)) problem = EINVAL;
  MappedFile file;
  if (problem == 0 && status.st_size > 0) {
    const auto size = static_cast<std::size_t>(status.st_size);
    void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (memory == MAP_FAILED) {
      problem = errno;
    } else {
      file.bytes_ = {static_cast<const std::byte*>(memory), size};
    }
  }
  ::close(descriptor);
  if (problem != 0) return cannot_read(path, problem);
  return file;
}

Expected<void> FileStore::add(const fs::path& root, const fs::path& path) {
  Entry entry;
  std::error_code problem;
  const fs::path canonical = fs::canonical(path, problem);
  if (problem || !fs::is_regular_file(canonical, problem)) return {};  // a dangling link, a device, a socket
  if (files_.size() == max_files) {
    return tl::unexpected<Error>{Error{ErrorKind::exhausted,
                                       fmt::format("{} holds more than {} files", root.string(), max_files),
                                       "Name a directory with fewer files."}};
  }
  if (!is_inside(root, canonical)) {
    entry.forbidden = true;
  } else if (auto file = MappedFile::open(canonical)) {
    entry.file = std::move(*file);
    entry.content_type = content_type_of(path.filename().string());
  } else {
    entry.forbidden = true;  // it is there, and we may not read it
  }
  files_.emplace("/" + path.lexically_relative(root).generic_string(), std::move(entry));
  return {};
}

Expected<FileStore> FileStore::open(const fs::path& root) {
  std::error_code problem;
  const fs::path canonical_root = fs::canonical(root, problem);
  if (problem) return cannot_read(root, problem.value());
  FileStore store;
  // Other users' directories are left out rather than an end to everything.
  auto walk = fs::recursive_directory_iterator{canonical_root, fs::directory_options::skip_permission_denied,
                                               problem};
  if (problem) return cannot_read(root, problem.value());
  while (walk != fs::recursive_directory_iterator{}) {
    const std::string name = walk->path().filename().string();
    std::error_code ignored;
    if (name.starts_with('.') && name != ".well-known") {
      walk.disable_recursion_pending();
    } else if (!walk->is_directory(ignored)) {
      if (auto added = store.add(canonical_root, walk->path()); !added) {
        return tl::unexpected<Error>{std::move(added.error())};
      }
    }
    walk.increment(problem);
    if (problem) return cannot_read(root, problem.value());
  }
  return store;
}

FileStore::Found FileStore::find(std::string_view target) const {
  PathRoom room;
  const auto path = decode_path(target, room);
  if (!path) return {400, {}, {}};
  if (climbs(*path)) return {403, {}, {}};
  auto entry = files_.find(*path);
  if (entry == files_.end()) {
    // A directory, with or without its slash: its index.
    std::size_t length = path->size();
    if (!path->ends_with('/') && length < room.size()) room[length++] = '/';
    if (length + index_name.size() > room.size()) return {404, {}, {}};
    index_name.copy(room.data() + length, index_name.size());
    entry = files_.find(std::string_view{room.data(), length + index_name.size()});
  }
  if (entry == files_.end()) return {404, {}, {}};
  if (entry->second.forbidden) return {403, {}, {}};
  return {200, entry->second.file.bytes(), entry->second.content_type};
}

}  // namespace handfast::apps
