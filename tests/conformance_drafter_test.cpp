// Drafters that keep to the contract, and drafters with known mistakes.

#include <gtest/gtest.h>

#include <algorithm>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance_drafter.hpp>
#include <specdec/testing/law_model.hpp>
#include <stdexcept>
#include <vector>

#include "laws.hpp"

namespace {

using specdec::logits_view;
using specdec::token_id;
using specdec::testing::check_drafter;
using specdec::testing::conformance_report;
using specdec::testing::defect;
using specdec::testing::law_model;
using specdec::testing::requirement;
using tokens_view = std::span<const token_id>;

constexpr std::size_t vocab = 6;

/// A drafter in parts that a mutant replaces: proposes tokens that follow from the text.
struct right_drafter {
  template <class Chance>
  void propose(const specdec::draft_request& request, Chance& chance, specdec::draft& answer) {
    extend(request, chance, answer, std::min(request.max_depth, request.max_nodes));
  }
  template <class Chance>
  void extend(const specdec::draft_request& request, Chance& chance, specdec::draft& answer, std::size_t count,
              token_id shift = 0, std::size_t width = vocab) {
    specdec::node_id tip = specdec::root;
    const auto next = static_cast<token_id>((request.context.size() + static_cast<std::size_t>(shift)) % vocab);
    for (std::size_t i = 0; i < count; ++i) {
      tip = answer.extend(tip, specdec::proposal::point_mass(width, next), chance);
    }
  }
};

template <class Subject>
void expect_found_in_drafter(Subject drafter, requirement broken, defect kind) {
  const conformance_report report = check_drafter(drafter, vocab);
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.findings[0].broken, broken) << report.text();
  EXPECT_EQ(report.findings[0].kind, kind) << report.text();
}

TEST(drafter_conformance, finds_nothing_in_the_librarys_own) {
  specdec::no_draft nothing;
  EXPECT_TRUE(check_drafter(nothing, vocab).conforming());
  right_drafter right;
  EXPECT_TRUE(check_drafter(right, vocab).conforming());
  for (const double temperature : {0.0, 0.7, 1.0}) {
    law_model model(vocab, laws::hashed(vocab, 3));
    specdec::model_drafter drafter(model, specdec::constant{3});
    const auto report = check_drafter(drafter, vocab, {.sampling = {temperature}});
    EXPECT_TRUE(report.conforming()) << report.text();
  }
  struct bounded : law_model<decltype(laws::hashed(vocab, 3))> {
    [[nodiscard]] std::size_t capacity() const { return 9; }
  } small{{vocab, laws::hashed(vocab, 3)}};
  specdec::model_drafter drafter(small);
  EXPECT_TRUE(check_drafter(drafter, vocab).conforming());
}

TEST(drafter_conformance, finds_drafts_that_are_more_than_was_asked_for) {
  struct too_deep : right_drafter {
    void propose(const specdec::draft_request& request, specdec::philox& chance, specdec::draft& answer) {
      extend(request, chance, answer, request.max_nodes);
    }
  };
  expect_found_in_drafter(too_deep{}, requirement::drafter_1, defect::draft_too_deep);
  struct too_large : right_drafter {
    void propose(const specdec::draft_request& request, specdec::philox& chance, specdec::draft& answer) {
      extend(request, chance, answer, request.max_depth);
    }
  };
  expect_found_in_drafter(too_large{}, requirement::drafter_1, defect::draft_too_large);
  struct never_empty : right_drafter {
    void propose(const specdec::draft_request& request, specdec::philox& chance, specdec::draft& answer) {
      extend(request, chance, answer, std::min(std::max<std::size_t>(request.max_depth, 1), request.max_nodes));
    }
  };
  expect_found_in_drafter(never_empty{}, requirement::drafter_1, defect::draft_too_deep);
  struct foreign : right_drafter {
    void propose(const specdec::draft_request& request, specdec::philox& chance, specdec::draft& answer) {
      extend(request, chance, answer, std::min(request.max_depth, request.max_nodes), 0, vocab + 1);
    }
  };
  expect_found_in_drafter(foreign{}, requirement::drafter_1, defect::draft_token_unknown);
  struct throwing {
    void propose(const specdec::draft_request& request, specdec::philox&, specdec::draft&) {
      if (request.max_depth == 0) throw std::logic_error("nothing to do");
    }
  };
  expect_found_in_drafter(throwing{}, requirement::drafter_1, defect::call_refused);
}

TEST(drafter_conformance, finds_drafts_that_depend_on_something_else) {
  struct counting : right_drafter {
    token_id calls = 0;
    void propose(const specdec::draft_request& request, specdec::philox& chance, specdec::draft& answer) {
      extend(request, chance, answer, std::min(request.max_depth, request.max_nodes), ++calls);
    }
  };
  expect_found_in_drafter(counting{}, requirement::drafter_3, defect::draft_not_repeatable);
  struct gambling : right_drafter {
    void propose(const specdec::draft_request& request, specdec::philox& chance, specdec::draft& answer) {
      const bool odd = chance.accept(answer.key_of(1, specdec::purpose::draft), 0.5, 1.0);
      extend(request, chance, answer, std::min(request.max_depth, request.max_nodes), odd ? 1 : 0);
    }
  };
  expect_found_in_drafter(gambling{}, requirement::drafter_2, defect::draft_depends_on_chance);
  struct nostalgic : right_drafter {
    token_id other_texts = 0;
    std::vector<token_id> last;
    void propose(const specdec::draft_request& request, specdec::philox& chance, specdec::draft& answer) {
      const std::vector<token_id> text(request.context.begin(), request.context.end());
      const std::size_t shared = std::min(text.size(), last.size());
      if (!std::equal(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(shared), last.begin())) ++other_texts;
      last = text;
      extend(request, chance, answer, std::min(request.max_depth, request.max_nodes), other_texts);
    }
  };
  expect_found_in_drafter(nostalgic{}, requirement::drafter_3, defect::draft_remembers_past_text);
  nostalgic learning;
  EXPECT_TRUE(check_drafter(learning, vocab, {.learns = true}).conforming());
  struct not_rolled_back : law_model<decltype(laws::hashed(vocab, 3))> {
    std::size_t claimed = 0;
    [[nodiscard]] std::size_t size() const { return claimed; }
    void truncate(std::size_t n) { claimed = n; }
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      claimed += tokens.size();
      return law_model::decode(tokens, rows);
    }
  } broken{{vocab, laws::hashed(vocab, 3)}};
  specdec::model_drafter drafter(broken);
  EXPECT_FALSE(check_drafter(drafter, vocab).conforming());
}

}  // namespace
