#include "method.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <program/values.hpp>

namespace measurement {
namespace {

/// A drafter and all that it refers to.
template <class Held, class Drafter>
class keeper {
 public:
  template <class Make>
  keeper(std::unique_ptr<Held> held, Make&& make) : held_(std::move(held)), drafter_(make(*held_)) {}

  void propose(const specdec::draft_request& request, specdec::philox& chance, specdec::draft& answer) {
    drafter_.propose(request, chance, answer);
  }
  void observe(const specdec::outcome& out) { specdec::tell(drafter_, out); }

 private:
  std::unique_ptr<Held> held_;
  Drafter drafter_;
};

/// The drafter that `make` makes of what is held, together with that.
template <class Held, class Make>
auto keep(std::unique_ptr<Held> held, Make&& make) {
  return keeper<Held, decltype(make(*held))>(std::move(held), std::forward<Make>(make));
}

/// Any drafter, drafting no more than `most` tokens a round.
class bounded_drafter {
 public:
  bounded_drafter(specdec::any_drafter inner, std::shared_ptr<const std::size_t> most)
      : inner_(std::move(inner)), most_(std::move(most)) {}

  void propose(specdec::draft_request request, specdec::philox& chance, specdec::draft& answer) {
    request.max_depth = std::min(request.max_depth, *most_);
    inner_.propose(request, chance, answer);
  }
  void observe(const specdec::outcome& out) { inner_.observe(out); }

 private:
  specdec::any_drafter inner_;
  std::shared_ptr<const std::size_t> most_;
};

assembled_method assembled(specdec::any_drafter drafter, any_rule rule = {}) {
  const auto most = std::make_shared<std::size_t>(most_drafted);
  return {bounded_drafter(std::move(drafter), most), std::move(rule), [most](std::size_t gamma) { *most = gamma; }};
}

/// Drafts with the pair's draft model, as long as the policy says.
template <class Policy>
specdec::any_drafter drafter_of(const model_pair& models, const method_settings& settings, Policy policy) {
  return keep(std::make_unique<toy::context>(models.draft->model), [&](toy::context& context) {
    return specdec::model_drafter(context, std::move(policy), {.top = settings.draft_top});
  });
}

constexpr specdec::constant as_many_as_asked{most_drafted};

assembled_method autoregressive(const model_pair&, toy::context&, const method_settings&) {
  return assembled(specdec::no_draft{});
}

assembled_method rejection(const model_pair& models, toy::context&, const method_settings& settings) {
  return assembled(drafter_of(models, settings, as_many_as_asked));
}

constexpr std::array all_methods{
    method{"autoregressive", "one token per call of the target", "the baseline", true, draft_source::nothing, true, 0,
           autoregressive},
    method{"rejection", "a draft model's tokens, accepted with probability p/q", "Leviathan et al., Chen et al. 2023",
           true, draft_source::model, true, 2, rejection},
};

}  // namespace

std::span<const method> methods() { return all_methods; }

const method& find_method(std::string_view name) {
  const auto found =
      std::find_if(all_methods.begin(), all_methods.end(), [&](const method& m) { return m.name == name; });
  if (found != all_methods.end()) return *found;
  std::vector<std::string_view> names;
  for (const method& m : all_methods) names.push_back(m.name);
  throw program::usage_error(fmt::format("--method: expected one of {}; got '{}'", fmt::join(names, ", "), name));
}

}  // namespace measurement
