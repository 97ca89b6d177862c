#include "episode.hpp"

#include <exception>
#include <optional>

#include <fmt/format.h>

#include "play.hpp"

namespace soak {

episode play_episode(const workplace& models, std::span<const method> methods, std::uint64_t seed,
                     std::uint32_t number) {
  dice chance(seed, number);
  const plan how = draw_plan(chance, models, methods);
  episode told{
      .runs = how.runs, .method = static_cast<std::size_t>(how.by - methods.data()), .description = how.describe()};
  const auto compare = [&](const char* what, std::size_t text, const transcript& expected, const transcript& got,
                           likeness alike) {
    told.compared += expected.tokens.size();
    if (const auto differs = difference(expected, got, alike)) {
      told.divergences.push_back(fmt::format("{}, text {}: {}", what, text, *differs));
    }
  };
  try {
    std::vector<generation> calm;
    for (const text_plan& text : how.texts) calm.push_back(play_calmly(models, how, text));
    const std::vector<generation> stormy = play_in_storm(models, how, chance);
    for (std::size_t i = 0; i < how.texts.size(); ++i) {
      const text_plan& text = how.texts[i];
      if (how.is_plain(text)) {
        compare("against plain decoding", i, play_plainly(models, how, text), calm[i].text, likeness::text);
      }
      if (!how.is_repeatable(text)) continue;
      const likeness alike = how.has_same_rounds() ? likeness::rounds : likeness::text;
      compare("in the storm", i, calm[i].text, stormy[i].text, alike);
      // Behind other rounds a fork is another text.
      if (alike != likeness::rounds || !calm[i].fork) continue;
      compare("the fork in the storm", i, *calm[i].fork, stormy[i].fork.value_or(transcript{}), alike);
    }
  } catch (const std::exception& error) {
    told.divergences.push_back(fmt::format("an exception that nothing explains: {}", error.what()));
  }
  return told;
}

}  // namespace soak
