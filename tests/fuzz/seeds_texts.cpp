// SPDX-License-Identifier: BSD-3-Clause
// Seeds for the targets that take text: one for each thing that a parser has to say of HTTP, of a value, of a
// port's words. Layer: fuzz. Knows what is wrong with each text, not how the parsers find it.
#include <array>
#include <string>

#include "fuzz/seeds.hpp"

namespace handfast::fuzz {
namespace {

struct Text {
  const char* name;
  std::string text;
};

/// A request that is right but for the given line or fields.
std::string line(const std::string& first) { return first + "\r\nHost: x\r\n\r\n"; }
std::string field(const std::string& fields, const std::string& body = "") {
  return "GET /a HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n\r\n" + body;
}
std::string old(const std::string& fields) { return "GET / HTTP/1.0\r\n" + fields + "\r\n\r\n"; }
std::string repeated(std::size_t n, const std::string& text) {
  std::string all;
  for (; n != 0; --n) all += text;
  return all;
}

void add_requests(Seeds& seeds) {
  const auto add = [&](unsigned limits, const Text& t) {
    // Cut in two ways; bit 2 has a head written as well.
    seeds.add("http", std::string{"request_"} + t.name, std::string{static_cast<char>(limits), 7} + t.text);
  };
  for (const Text& t : std::to_array<Text>({
           {"no_space", "GET\r\n\r\n"},
           {"one_space", "GET /\r\n\r\n"},
           {"no_target", "GET  HTTP/1.1\r\n\r\n"},
           {"method_no_token", line("G(T / HTTP/1.1")},
           {"target_no_target", line("GET /# HTTP/1.1")},
           {"version_later", line("GET / HTTP/2.9")},
           {"version_short", line("GET / HTTP/1")},
           {"version_name", line("GET / HTTQ/1.1")},
           {"version_major", line("GET / HTTP/x.1")},
           {"version_major_low", line("GET / HTTP/!.1")},
           {"version_dot", line("GET / HTTP/1,1")},
           {"version_minor", line("GET / HTTP/1.x")},
           {"method_refused", line("POST / HTTP/1.1")},
           {"method_unknown", line("BREW / HTTP/1.1")},
           {"host_only", line("GET http://host HTTP/1.1") + line("GET HTTP://host/p?q HTTP/1.1")},
           {"host_query", line("GET http://host?q HTTP/1.1")},
           {"host_empty", line("GET http:///p HTTP/1.1")},
           {"scheme_only", line("GET http:// HTTP/1.1")},
           {"scheme_other", line("GET ftp://host/path HTTP/1.1")},
           {"asterisk", line("GET * HTTP/1.1")},
           {"blank_lines", "\r\n\r\n" + line("HEAD / HTTP/1.1")},
           {"lf_only", "GET / HTTP/1.1\n\n"},
           {"cr_only", "GET / HTTP/1.1\rx"},
           {"zero_byte", std::string("GET /\0", 6)},
           {"field_no_colon", field("Accept")},
           {"field_no_name", field(": x")},
           {"field_blank", field("Accept : x")},
           {"hosts", field("Host: y")},
           {"no_host", "GET / HTTP/1.1\r\n\r\n"},
           {"close", field("Connection: x,\tClose")},
           {"other_fields", field("From: a\r\nAccept: *\r\nUser-Agent: b\r\nAccept-Charset: "
                                  "c\r\nIf-Modified-Since: d\r\nConnection: upgrade\r\nX:")},
           {"old_keep_alive", old("Connection: keep-alive")},
           {"old_close", old("Connection: Close, keep-alive")},
           {"old_other", old("Connection: a,b")},
           {"keep_alive", field("Connection: keep-alive")},
           {"lengths", field("Content-Length: 1\r\nContent-Length: 1", "a")},
           {"length_empty", field("Content-Length:")},
           {"length_text", field("Content-Length: 5x")},
           {"length_huge", field("Content-Length: 99999999999999999999")},
           {"length_too_much", field("Content-Length: 1048577")},
           {"coding", field("Transfer-Encoding: chunked")},
           {"coding_and_length", field("Transfer-Encoding: chunked\r\nContent-Length: 1")},
           {"coding_old", old("Transfer-Encoding: chunked")},
           {"expects", field("Expect: 100-continue\r\nContent-Length: 5")},
           {"expects_nothing", field("Expect: 100-continue")},
           {"body_missing", field("Content-Length: 50", "hello")},
           {"body_missing_host", "GET http://h HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhello"},
       }))
    add(0, t);
  for (const Text& t : std::to_array<Text>({
           {"line_too_long", line("GET /" + repeated(60, "a") + " HTTP/1.1")},
           {"head_too_long", field("A: " + repeated(100, "a"))},
           {"head_ends_too_late", field("A: " + repeated(128 - 35, "a"))},
           {"fields_too_many", field("A: a\r\nB: b\r\nC: c\r\nD: d")},
           {"body_too_long", field("Content-Length: 17")},
           {"body_longest", field("Content-Length: 16", repeated(16, "b"))},
       }))
    add(2, t);
  add(10, {"first_line_beyond_the_head", line("GET /" + repeated(150, "a") + " HTTP/1.1")});
  // Each code and each path of the writer: the bytes of the stream choose them.
  for (unsigned n = 0; n < 20; ++n)
    seeds.add("http", "written_" + std::to_string(n),
              std::string{4, 1, static_cast<char>(n), static_cast<char>(n & 1), 3, 7, static_cast<char>(n), 0,
                          static_cast<char>(n)});
}

void add_responses(Seeds& seeds) {
  const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  for (const Text& t : std::to_array<Text>({
           {"short", "HTTP/1.1 20\r\n\r\n"},
           {"version", "HTTP/2.0 200 OK\r\n\r\n"},
           {"no_blank", "HTTP/1.1 2000\r\n\r\n"},
           {"no_digit", "HTTP/1.1 2x0\r\n\r\n"},
           {"no_digit_low", "HTTP/1.1 2/0\r\n\r\n"},
           {"zero", "HTTP/1.1 099\r\n\r\n"},
           {"no_reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"},
           {"interim", "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nA: b\r\n\r\n" + ok},
           {"interim_too_many", repeated(9, "HTTP/1.1 100 C\r\n\r\n") + ok},
           {"switching", "HTTP/1.1 101 S\r\n\r\n" + ok},
           {"no_content", "HTTP/1.1 204 N\r\nContent-Length: 3\r\n\r\n" + ok},
           {"field_bad", "HTTP/1.1 200 OK\r\nA b\r\n\r\n"},
           {"length_bad", "HTTP/1.1 200 OK\r\nContent-Length: a\r\n\r\n"},
           {"lengths_same", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na" + ok},
           {"lengths_differ", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\naa"},
           {"codings", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"},
           {"coding_and_length",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n"},
           {"coding_other", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nabc"},
           {"coding_list", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"},
           {"until_close", "HTTP/1.1 200 OK\r\n\r\nabcdef"},
           {"close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab"},
           {"old", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab"},
           {"old_keep_alive",
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nab" + ok},
           {"old_other", "HTTP/1.0 200 OK\r\nConnection: a\r\n\r\n"},
           {"other_fields",
            "HTTP/1.1 200 OK\r\nConnection: a\r\nServer-Bar: b\r\nServer-Timings: c\r\nContent-Disposit.: "
            "d\r\nContent-Length: 3\r\n\r\nabc"},
           {"cut", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"},
           {"chunk", chunked + "aB;e=\"f\"\r\n" + repeated(171, "d") +
                         "\r\n1 \t\r\nd\r\n0\r\nA: b\r\nC: d\r\n\r\n" + ok},
           {"chunk_tab", chunked + "1\t\r\na\r\n0\r\n\r\n"},
           {"chunk_no_digit", chunked + ";\r\n"},
           {"chunk_odd_digit", chunked + "1g\r\n"},
           {"chunk_other_digits", chunked + "1G"},
           {"chunk_low_digit", chunked + "1@"},
           {"chunk_huge", chunked + "1000000000000000\r\n"},
           {"chunk_digits", chunked + repeated(4097, "0") + "\r\n"},
           {"extension_lf", chunked + "1;a\n"},
           {"extension_zero", chunked + std::string("1;a\0", 4)},
           {"extension_long", chunked + "1;" + repeated(4100, "e")},
           {"size_no_lf", chunked + "1\ra"},
           {"data_no_cr", chunked + "1\r\nab"},
           {"data_no_lf", chunked + "1\r\na\rb"},
           {"trailer_zero", chunked + std::string("0\r\nA\0", 5)},
           {"trailer_lf", chunked + "0\r\nA\n"},
           {"trailer_cr", chunked + "0\r\nA\rB"},
           {"trailer_crs", chunked + "0\r\n\r\r"},
           {"trailer_long", chunked + "0\r\n" + repeated(16400, "t")},
           {"fields_too_many", "HTTP/1.1 200 OK\r\n" + repeated(202, "a:\r\n") + "\r\n"},
           {"line_too_long", "HTTP/1.1 200 " + repeated(8200, "r") + "\r\n\r\n"},
           {"control", "HTTP/1.1 200 \x01\r\n\r\n"},
       })) {
    seeds.add("http", std::string{"response_"} + t.name, std::string{1, 7} + t.text);
  }
  seeds.add("http", "response_to_head",
            std::string{3, 7} + "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + ok);
}

void add_words(Seeds& seeds) {
  const auto add = [&](char parser, const Text& t) {
    seeds.add("words", t.name, std::string{parser} + t.text);
  };
  for (const Text& t : std::to_array<Text>({{"ipv4_three", "10.0.0"},
                                            {"ipv4_zeros", "10.0.0.01"},
                                            {"ipv4_large", "10.0.0.256"},
                                            {"ipv4_huge", "10.0.0.99999999999"},
                                            {"ipv4_empty", ""},
                                            {"ipv4_more", "10.0.0.1x"},
                                            {"ipv4_comma", "10,0.0.1"}}))
    add(2, t);
  for (const Text& t : std::to_array<Text>({{"prefix_no_address", "x/24"},
                                            {"prefix_no_slash", "10.0.0.1"},
                                            {"prefix_no_length", "10.0.0.1/"},
                                            {"prefix_33", "10.0.0.1/33"},
                                            {"prefix_more", "10.0.0.1/3x"},
                                            {"prefix_colon", "10.0.0.1:24"}}))
    add(3, t);
  for (const Text& t : std::to_array<Text>({{"endpoint_no_address", "x:80"},
                                            {"endpoint_no_colon", "10.0.0.1"},
                                            {"endpoint_slash", "10.0.0.1/80"},
                                            {"endpoint_port_large", "10.0.0.1:65536"},
                                            {"endpoint_more", "10.0.0.1:80x"}}))
    add(4, t);
  for (const Text& t : std::to_array<Text>({{"mac_short", "02:00:00:00:00:0"},
                                            {"mac_letter", "02:00:00:00:00:0g"},
                                            {"mac_high_letter", "02:00:00:00:00:G0"},
                                            {"mac_dash", "02-00-00-00-00-01"},
                                            {"mac_low", "02:00:00:00:00:/0"},
                                            {"mac_between", "02:00:00:00:00:@a"},
                                            {"mac_all", "0a:1F:9b:cD:eE:77"}}))
    add(5, t);
  for (const Text& t : std::to_array<Text>({
           {"port_zero", std::string("tap:\0", 5)},
           {"port_unknown", "card:1"},
           {"port_no_target", "tap"},
           {"port_no_target_colon", "vhost:"},
           {"port_null_name", "null:x"},
           {"port_null", "null"},
           {"port_ring", "ring"},
           {"port_ring_named", "ring:a,b=c"},
           {"port_pci_short", "pci:03:00.1"},
           {"port_pci_no_colon", "pci:0300000"},
           {"port_pci_no_dot", "pci:03:00:1"},
           {"port_pci_bus", "pci:0g:00.1"},
           {"port_pci_device", "pci:03:0g.1"},
           {"port_pci_function", "pci:03:00.8"},
           {"port_pci_function_low", "pci:03:00./"},
           {"port_pci_domain", "pci:000g:03:00.0"},
           {"port_pci_length", "pci:3"},
           {"port_pci_no_domain", "pci:000000:03:00"},
           {"port_memif_client", "memif:/a,client"},
           {"port_memif_server", "memif:/a,server"},
           {"port_memif_role", "memif:/a,role=x"},
           {"port_memif_client_role", "memif:/a,role=client"},
           {"port_extra_no_value", "tap:a,b"},
           {"port_extra_no_key", "tap:a,=b"},
           {"port_extra_twice", "tap:a,b=1,b=2"},
           {"port_pcap_out", "pcap:,out.pcap"},
           {"port_pcap_in", "pcap:in.pcap"},
           {"port_pcap_extra", "pcap:in.pcap,a=b"},
           {"port_pcap_none", "pcap:"},
           {"port_xdp", "xdp:e,a=b,c=d"},
           {"port_virtio", "virtio:/p"},
           {"port_veth", "veth:e"},
       }))
    add(6, t);
  for (const Text& t : std::to_array<Text>({{"time_ns", "7ns"},
                                            {"time_us", "1234us"},
                                            {"time_long", "366h"},
                                            {"time_999", "999999us"},
                                            {"time_1000", "999500us"},
                                            {"time_10", "9996us"},
                                            {"time_h", "8760h"},
                                            {"time_years", "9000h"},
                                            {"time_huge", "99999999999999999999s"},
                                            {"time_minus", "-1s"},
                                            {"time_no_unit", "5"},
                                            {"time_unit", "5 s"},
                                            {"time_empty", ""},
                                            {"time_m", "3m"}}))
    add(9, t);
  for (const Text& t : std::to_array<Text>({{"number_plain", "1023"},
                                            {"number_kib", "7K"},
                                            {"number_mib", "5MiB"},
                                            {"number_t", "1TiB"},
                                            {"number_largest", "18446744073709551615"},
                                            {"number_overflow", "16777216TiB"},
                                            {"number_rate", "2M/s"},
                                            {"number_g", "3G"},
                                            {"number_unit", "3x"},
                                            {"number_minus", "-3"},
                                            {"number_next_unit", "1048575"}}))
    add(11, t);
  for (const Text& t :
       std::to_array<Text>({{"line_wrong", "--mtu 10"},
                            {"line_unknown", "--nothing"},
                            {"line_load_rates", "load --target 10.0.0.1:80 --rate 5 --concurrency 5"},
                            {"line_load_no_target", "load"}}))
    add(0, t);
}

}  // namespace

void add_text_seeds(Seeds& seeds) {
  add_requests(seeds);
  add_responses(seeds);
  add_words(seeds);
}

}  // namespace handfast::fuzz
