// Runs a fuzz target without libFuzzer, so that every compiler builds it and every test run has it:
//   TARGET_replay [--mutations=N] [--seed=N] FILE_OR_DIRECTORY...
// Every file as it is, and then N mutations of them, the same ones for the same seed and files. An
// input that ends the program is kept in a file, which the program runs again.
#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
// Of AddressSanitizer, if that is there.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<uint8_t>;
using Random = std::mt19937_64;

constexpr size_t kLongest = 1 << 16;

Bytes present;
std::string kept_as;

void keep_present() {
  std::FILE* file = std::fopen(kept_as.c_str(), "wb");
  if (file == nullptr) return;
  const size_t written = std::fwrite(present.data(), 1, present.size(), file);
  std::fclose(file);
  std::fprintf(stderr, "the input is kept in %s (%zu bytes)\n", kept_as.c_str(), written);
}

void keep_on_abort(int) {
  keep_present();
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

void run(const Bytes& input) {
  present = input;
  // A copy of just that size: what is read beyond is noticed.
  LLVMFuzzerTestOneInput(present.data(), present.size());
}

std::optional<std::vector<Bytes>> read_corpus(const std::vector<fs::path>& paths) {
  std::vector<fs::path> files;
  for (const fs::path& path : paths) {
    if (fs::is_directory(path)) {
      for (const auto& entry : fs::directory_iterator(path)) files.push_back(entry.path());
    } else {
      files.push_back(path);
    }
  }
  // A directory has no order of its own.
  std::sort(files.begin(), files.end());
  std::vector<Bytes> corpus;
  for (const fs::path& file : files) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream) {
      std::fprintf(stderr, "cannot read %s\n", file.c_str());
      return std::nullopt;
    }
    corpus.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
  }
  if (corpus.empty()) {
    std::fprintf(stderr, "there is no input to run\n");
    return std::nullopt;
  }
  return corpus;
}

size_t below(Random& random, size_t bound) {
  return bound == 0 ? 0 : static_cast<size_t>(random() % bound);
}

// Values at which lengths and counts turn.
constexpr std::array<uint16_t, 14> kTurns = {0,  1,  7,    8,    20,     28,     40,
                                             48, 56, 1280, 1500, 0x7fff, 0x8000, 0xffff};

void put_turn(Random& random, Bytes& input) {
  if (input.size() < 2) return;
  const uint16_t value = kTurns[below(random, kTurns.size())];
  const size_t at = below(random, input.size() - 1);
  const auto high = static_cast<uint8_t>(value >> 8);
  const auto low = static_cast<uint8_t>(value & 0xff);
  // As on the wire, or as this machine has it.
  const bool wire = random() % 2 == 0;
  input[at] = wire ? high : low;
  input[at + 1] = wire ? low : high;
}

// Puts a piece of `from` into the input, or over what is there.
void take_piece(Random& random, const Bytes& from, Bytes& input) {
  if (from.empty()) return;
  const size_t begin = below(random, from.size());
  const size_t length = 1 + below(random, std::min<size_t>(from.size() - begin, 256));
  const Bytes piece(from.begin() + static_cast<long>(begin),
                    from.begin() + static_cast<long>(begin + length));
  const size_t at = below(random, input.size() + 1);
  if (random() % 2 == 0) {
    const size_t fits = std::min(length, input.size() - at);
    std::copy_n(piece.begin(), fits, input.begin() + static_cast<long>(at));
  } else {
    input.insert(input.begin() + static_cast<long>(at), piece.begin(), piece.end());
  }
}

void change(Random& random, const std::vector<Bytes>& corpus, Bytes& input) {
  const size_t at = below(random, input.size());
  switch (random() % 7) {
    case 0:
      if (!input.empty()) input[at] ^= static_cast<uint8_t>(1U << random() % 8);
      break;
    case 1:
      if (!input.empty()) input[at] = static_cast<uint8_t>(random());
      break;
    case 2:
      put_turn(random, input);
      break;
    case 3:
      input.resize(at);
      break;
    case 4: {
      const size_t length = below(random, std::min<size_t>(input.size() - at, 64) + 1);
      input.erase(input.begin() + static_cast<long>(at),
                  input.begin() + static_cast<long>(at + length));
      break;
    }
    case 5:
      take_piece(random, Bytes(input), input);
      break;
    default:
      take_piece(random, corpus[below(random, corpus.size())], input);
      break;
  }
  if (input.size() > kLongest) input.resize(kLongest);
}

Bytes mutation(Random& random, const std::vector<Bytes>& corpus) {
  Bytes input = corpus[below(random, corpus.size())];
  // Mostly few changes: headers must stay near enough to right.
  for (size_t left = 1 + below(random, random() % 4 == 0 ? 16 : 3); left > 0; left--) {
    change(random, corpus, input);
  }
  return input;
}

std::optional<uint64_t> number_of(std::string_view argument, std::string_view name) {
  if (!argument.starts_with(name)) return std::nullopt;
  argument.remove_prefix(name.size());
  uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(argument.data(), argument.data() + argument.size(), value);
  if (error != std::errc() || end != argument.data() + argument.size()) {
    std::fprintf(stderr, "no number: %s\n", argument.data());
    std::exit(2);
  }
  return value;
}

}  // namespace

int main(int count, char** arguments) {
  uint64_t mutations = 0;
  uint64_t seed = 1;
  std::vector<fs::path> paths;
  for (int i = 1; i < count; i++) {
    if (const auto given = number_of(arguments[i], "--mutations=")) {
      mutations = *given;
    } else if (const auto given_seed = number_of(arguments[i], "--seed=")) {
      seed = *given_seed;
    } else {
      paths.emplace_back(arguments[i]);
    }
  }
  const auto corpus = read_corpus(paths);
  if (!corpus) return 2;

  kept_as = fs::path(arguments[0]).filename().string() + ".ended-by";
  std::signal(SIGABRT, keep_on_abort);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(keep_present);
  for (const Bytes& input : *corpus) run(input);
  Random random(seed);
  for (uint64_t i = 0; i < mutations; i++) run(mutation(random, *corpus));
  std::printf("%zu files and %llu mutations of them (seed %llu)\n", corpus->size(),
              static_cast<unsigned long long>(mutations), static_cast<unsigned long long>(seed));
  return 0;
}
