// SPDX-License-Identifier: BSD-3-Clause
// The file store: what is served, and every way out of the directory that must stay closed. Layer: tests.
#include "common/file_store.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "common/http_head.hpp"

namespace handfast::apps {
namespace {

namespace fs = std::filesystem;

class FileStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "handfast-files-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    base_ = name;
    root_ = base_ / "root";
    write("root/index.html", "home");
    write("root/a.txt", "text");
    write("root/sub/index.html", "sub home");
    write("root/sub/with space.css", "css");
    write("root/empty", "");
    write("root/%41.txt", "percent");
    write("root/.hidden", "hidden");
    write("root/.git/config", "hidden too");
    write("root/.well-known/x", "known");
    write("root/plain/b", "no index here");
    write("secret.txt", "secret");
    write("root-sibling/s.txt", "sibling");
  }
  void TearDown() override { fs::remove_all(base_); }

  void write(const fs::path& path, std::string_view content) const {
    fs::create_directories((base_ / path).parent_path());
    std::ofstream{base_ / path} << content;
  }

  // The content, or the status in brackets.
  static std::string get(const FileStore& store, std::string_view target) {
    const auto found = store.find(target);
    if (found.http_status != 200) {
      EXPECT_TRUE(found.bytes.empty());
      return "[" + std::to_string(found.http_status) + "]";
    }
    return std::string{as_text(found.bytes)};
  }

  fs::path base_;
  fs::path root_;
};

TEST_F(FileStoreTest, find__files_and_indexes__their_bytes_and_type) {
  const auto store = FileStore::open(root_);
  ASSERT_TRUE(store);
  EXPECT_EQ(get(*store, "/"), "home");
  EXPECT_EQ(get(*store, "/index.html"), "home");
  EXPECT_EQ(get(*store, "/a.txt?query=/../x"), "text");
  EXPECT_EQ(get(*store, "/sub/"), "sub home");
  EXPECT_EQ(get(*store, "/sub"), "sub home");
  EXPECT_EQ(get(*store, "/sub/with%20space.css"), "css");
  EXPECT_EQ(get(*store, "/.well-known/x"), "known");
  EXPECT_EQ(get(*store, "/empty"), "");
  EXPECT_EQ(store->find("/a.txt").content_type, "text/plain; charset=utf-8");
  EXPECT_EQ(store->find("/empty").content_type, "application/octet-stream");
  EXPECT_EQ(store->size(), 8U);
}

TEST_F(FileStoreTest, find__not_there__404) {
  const auto store = FileStore::open(root_);
  ASSERT_TRUE(store);
  for (const char* target : {"/none", "/a.txt/", "/a.txt/index.html", "/plain", "/plain/", "/.hidden",
                             "/.git/config", "/secret.txt", "//a.txt", "/./a.txt", "/A.TXT"}) {
    EXPECT_EQ(get(*store, target), "[404]") << target;
  }
}

TEST_F(FileStoreTest, find__dot_dot_in_any_spelling__403) {
  const auto store = FileStore::open(root_);
  ASSERT_TRUE(store);
  for (const char* target :
       {"/..", "/../secret.txt", "/sub/../../secret.txt", "/sub/../a.txt", "/%2e%2e/secret.txt",
        "/%2E./secret.txt", "/..%2fsecret.txt", "/sub%2f..%2f..%2fsecret.txt", "/a/.."}) {
    EXPECT_EQ(get(*store, target), "[403]") << target;
  }
  // Names with dots that do not climb, and an escape that decodes to another: decoded once only.
  EXPECT_EQ(get(*store, "/..."), "[404]");
  EXPECT_EQ(get(*store, "/%252e%252e/secret.txt"), "[404]");
  EXPECT_EQ(get(*store, "/%2541.txt"), "percent");
}

TEST_F(FileStoreTest, find__malformed_target__400) {
  const auto store = FileStore::open(root_);
  ASSERT_TRUE(store);
  for (const char* target : {"", "a.txt", "?", "/%", "/%4", "/%zz", "/a%00.txt", "/a%0a", "/%7f"}) {
    EXPECT_EQ(get(*store, target), "[400]") << target;
  }
  EXPECT_EQ(get(*store, "/" + std::string(FileStore::max_path_bytes, 'x')), "[400]");
  EXPECT_EQ(get(*store, "/" + std::string(FileStore::max_path_bytes - 1, 'x')), "[404]");
}

TEST_F(FileStoreTest, open__symbolic_links__served_inside_and_refused_outside) {
  fs::create_symlink("a.txt", root_ / "inside");
  fs::create_symlink(base_ / "secret.txt", root_ / "outside");
  fs::create_symlink("../root-sibling/s.txt", root_ / "sibling");  // shares the root's name as a prefix
  fs::create_directory_symlink(base_, root_ / "up");
  fs::create_symlink("nowhere", root_ / "dangling");
  fs::create_symlink("loop", root_ / "loop");
  const auto store = FileStore::open(root_);
  ASSERT_TRUE(store);
  EXPECT_EQ(get(*store, "/inside"), "text");
  EXPECT_EQ(get(*store, "/outside"), "[403]");
  EXPECT_EQ(get(*store, "/sibling"), "[403]");
  EXPECT_EQ(get(*store, "/up/secret.txt"), "[404]");
  EXPECT_EQ(get(*store, "/dangling"), "[404]");
  EXPECT_EQ(get(*store, "/loop"), "[404]");
}

TEST_F(FileStoreTest, open__root_is_a_link_itself__followed) {
  fs::create_directory_symlink(root_, base_ / "link");
  const auto store = FileStore::open(base_ / "link");
  ASSERT_TRUE(store);
  EXPECT_EQ(get(*store, "/a.txt"), "text");
}

TEST_F(FileStoreTest, open__pipes_and_devices__left_out_without_waiting) {
  ASSERT_EQ(::mkfifo((root_ / "pipe").c_str(), 0600), 0);
  const auto store = FileStore::open(root_);
  ASSERT_TRUE(store);
  EXPECT_EQ(get(*store, "/pipe"), "[404]");
}

TEST_F(FileStoreTest, open__unreadable_file__403) {
  fs::permissions(root_ / "a.txt", fs::perms::none);
  fs::permissions(base_, fs::perms(0755));
  // Root may read everything: as root, be somebody else while the store opens.
  const ::uid_t self = ::geteuid();
  if (self == 0 && ::seteuid(65534) != 0) GTEST_SKIP() << "root cannot become another user here";
  const auto store = FileStore::open(root_);
  ASSERT_EQ(::seteuid(self), 0);
  ASSERT_TRUE(store);
  EXPECT_EQ(get(*store, "/a.txt"), "[403]");
}

TEST_F(FileStoreTest, open__no_such_directory_or_a_file__says_so) {
  const auto missing = FileStore::open(base_ / "missing");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::environment);
  EXPECT_NE(missing.error().what.find("missing"), std::string::npos);
  EXPECT_FALSE(missing.error().remedy.empty());
  EXPECT_FALSE(FileStore::open(base_ / "secret.txt"));
}

TEST_F(FileStoreTest, find__after_the_store_moved__bytes_still_there) {
  auto store = FileStore::open(root_);
  ASSERT_TRUE(store);
  const auto before = store->find("/a.txt").bytes;
  const FileStore moved = std::move(*store);
  EXPECT_EQ(moved.find("/a.txt").bytes.data(), before.data());
  EXPECT_EQ(as_text(before), "text");
}

}  // namespace
}  // namespace handfast::apps
