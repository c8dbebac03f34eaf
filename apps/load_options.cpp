// SPDX-License-Identifier: BSD-3-Clause
// From a load test's words to its plan. Layer: apps.
#include "load_options.hpp"

#include "common/duration_text.hpp"
#include "common/http_head.hpp"

namespace handfast::apps {
namespace {

tl::unexpected<Error> usage(std::string what, std::string remedy) {
  return tl::unexpected(Error{ErrorKind::usage, std::move(what), std::move(remedy)});
}

Expected<Endpoint> parse_target(const std::string& text) {
  const auto target = Endpoint::parse(text);
  if (!target || target->port == 0)
    return usage("\"" + text + "\" is no address and port", "Type one like 10.0.0.1:80");
  return *target;
}

/// "--who-closes" and the like: one of two words.
auto one_of(std::string first, std::string second) {
  return [first, second](const std::string& text) -> Expected<std::string> {
    if (text == first || text == second) return text;
    return usage("\"" + text + "\" is neither " + first + " nor " + second, "Type one of the two");
  };
}

Expected<void> choose_request(const LoadOptions& options, LoadTexts& texts, LoadPlan& plan) {
  std::string_view word = options.request;
  if (word.starts_with("GET ")) word.remove_prefix(4);
  plan.http = word.starts_with('/');
  if (plan.http) {
    if (!is_target(word))
      return usage("\"" + std::string{word} + "\" is no path", "Type one like /index.html");
    if (options.answer != LoadPlan::unlimited)
      return usage("The length of an HTTP answer stands in its head",
                   "Leave --answer out, or give --request in bytes");
    texts.request = http_request_text(word, options.target, true);
    texts.last_request = plan.server_closes ? http_request_text(word, options.target, false) : texts.request;
  } else {
    const auto bytes = parse_bytes(options.request, 0, LoadOptions::most_request_bytes);
    if (!bytes)
      return usage("\"" + options.request + "\" is neither a path nor a size",
                   "Type --request /path or --request 64");
    texts.request.assign(*bytes, 'x');
    texts.last_request = texts.request;
    plan.answer_bytes = options.answer != LoadPlan::unlimited ? options.answer : *bytes;
    if (plan.answer_bytes == 0 && plan.requests > 1)
      return usage("Nothing would separate several requests that are not answered",
                   "Give one --request of their size, or an --answer");
  }
  plan.request = texts.request;
  plan.last_request = texts.last_request;
  return {};
}

}  // namespace

void LoadOptions::add_to(CLI::App& app) {
  add_parsed(app, "--target", target, parse_target, "A:PORT", "The server's address and port")->group("Load");
  add_number(app, "--rate", rate, 1, 1'000'000'000,
             "Open loop: connections to start each second, answered or not")
      ->group("Load");
  add_number(app, "--concurrency", concurrency, 1, 1 << 28,
             "Closed loop: connections that are kept going, 256")
      ->group("Load");
  add_duration(app, "--duration", duration, "How long connections are started, 10s; 0s: until --count")
      ->group("Load");
  add_number(app, "--count", count, 1, LoadPlan::unlimited - 1, "How many to start at most")->group("Load");
  app.add_option("--request", request, "An HTTP path, /; or so many bytes, as for an echo server")
      ->type_name("WHAT")
      ->group("Exchange");
  add_bytes(app, "--answer", answer, 0, std::uint64_t{1} << 40,
            "Bytes that answer a request in bytes; as many, if not given")
      ->group("Exchange");
  add_number(app, "--requests", requests, 1, 1'000'000'000,
             "Requests on each connection, one after the other, 1")
      ->group("Exchange");
  add_parsed(app, "--who-closes", who_closes, one_of("client", "server"), "WHO", "client or server")
      ->group("Exchange");
  add_parsed(app, "--how", how, one_of("fin", "rst"), "HOW", "How the client ends: fin or rst")
      ->group("Exchange");
  app.add_option("--json", json, "Write the report to this file as well")->type_name("FILE")->group("Load");
}

Expected<LoadPlan> make_plan(const LoadOptions& options, LoadTexts& texts) {
  LoadPlan plan;
  if (options.target.port == 0)
    return usage("load needs a target", "Type --target and its address and port, 10.0.0.1:80");
  if (options.rate != 0 && options.concurrency != 0)
    return usage("--rate is an open loop and --concurrency a closed one", "Give one of them");
  plan.target = options.target;
  plan.rate = options.rate;
  plan.concurrency = options.concurrency != 0 ? options.concurrency : LoadOptions::default_concurrency;
  plan.count = options.count;
  plan.requests = options.requests;
  plan.server_closes = options.who_closes == "server";
  plan.reset = options.how == "rst";
  const bool counted = options.count != LoadPlan::unlimited;
  plan.duration =
      options.duration != Duration::min() ? options.duration : (counted ? Duration{0} : Duration{10s});
  if (plan.duration == Duration{0} && !counted)
    return usage("Neither --duration nor --count would end the test", "Give one of them");
  if (plan.server_closes && plan.reset)
    return usage("A client that waits for the server's FIN has nothing left to reset",
                 "Leave --how rst or --who-closes server out");
  if (auto chosen = choose_request(options, texts, plan); !chosen) return tl::unexpected(chosen.error());
  return plan;
}

}  // namespace handfast::apps
