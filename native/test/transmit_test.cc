// Which way an output sends.
#include "forwarder/transmit.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "check.h"

using namespace mcfleet;

namespace {

void chooses_super_frames_where_the_kernel_takes_them() {
  for (const TransmitRequest request : {TransmitRequest::kAuto, TransmitRequest::kGso}) {
    CHECK(choose_transmit({request, true, true}) == Transmit::kGsoDevice);
    CHECK(choose_transmit({request, true, false}) == Transmit::kGsoKernel);
    CHECK(choose_transmit({request, false, true}) == Transmit::kFramesOldKernel);
    for (const bool device : {true, false}) {
      CHECK(choose_transmit({request, true, device, true}) == Transmit::kFramesQueue);
    }
  }
  for (const bool unsafe : {true, false}) {
    CHECK(choose_transmit({TransmitRequest::kSendmmsg, true, true, unsafe}) ==
          Transmit::kFramesAsked);
    CHECK(choose_transmit({TransmitRequest::kIoUring, true, true, unsafe}) ==
          Transmit::kFramesUring);
  }
}

void goes_on_without_io_uring() {
  constexpr std::pair<int, Transmit> kRefusals[] = {
      {EPERM, Transmit::kFramesUringForbidden}, {EACCES, Transmit::kFramesUringForbidden},
      {ENOSYS, Transmit::kFramesUringTooOld},   {EINVAL, Transmit::kFramesUringTooOld},
      {ENOMEM, Transmit::kFramesUringFailed},   {EMFILE, Transmit::kFramesUringFailed},
  };
  for (const auto& [error, transmit] : kRefusals) {
    CHECK(choose_transmit({TransmitRequest::kIoUring, true, true, false,
                           classify_uring_error(error)}) == transmit);
    CHECK(std::strcmp(transmit_name(transmit), "sendmmsg") == 0);
    CHECK(transmit_reason(transmit).find("io_uring is asked for") != std::string::npos);
  }
  CHECK(std::strcmp(transmit_name(Transmit::kFramesUring), "io_uring") == 0);
}

void tells_what_cannot_be_had() {
  for (const Transmit transmit : {Transmit::kFramesUringForbidden, Transmit::kFramesUringTooOld,
                                  Transmit::kFramesUringFailed}) {
    CHECK(falls_short(TransmitRequest::kIoUring, transmit));
  }
  CHECK(falls_short(TransmitRequest::kGso, Transmit::kFramesOldKernel));
  CHECK(!falls_short(TransmitRequest::kAuto, Transmit::kFramesOldKernel));
  CHECK(!falls_short(TransmitRequest::kIoUring, Transmit::kFramesUring));
  CHECK(!falls_short(TransmitRequest::kIoUring, Transmit::kPacketsNoUring));
  CHECK(!falls_short(TransmitRequest::kGso, Transmit::kPacketsRoute));
}

void names_and_reasons_differ() {
  for (int i = 0; i <= static_cast<int>(Transmit::kPackets); i++) {
    const auto transmit = static_cast<Transmit>(i);
    CHECK(transmit_reason(transmit).size() > 20);
    const bool gso = transmit_reason(transmit).starts_with("super-frames");
    CHECK((std::strcmp(transmit_name(transmit), "gso") == 0) == gso);
    CHECK(gso || !sends_super_frames(transmit));
    // A code is the name and more.
    const size_t length = std::strlen(transmit_name(transmit));
    CHECK(std::strncmp(transmit_code(transmit), transmit_name(transmit), length) == 0);
    CHECK(transmit_code(transmit)[length] == '_');
    // The queue discipline is named where it is the reason, and only there.
    CHECK(transmit_reason(transmit, "tbf").ends_with(": tbf") == avoids_queue(transmit));
    CHECK(!gso || !avoids_queue(transmit));
  }
}

void reads_requests() {
  CHECK(read_transmit_request("auto") == TransmitRequest::kAuto);
  CHECK(read_transmit_request("gso") == TransmitRequest::kGso);
  CHECK(read_transmit_request("sendmmsg") == TransmitRequest::kSendmmsg);
  CHECK(read_transmit_request("io_uring") == TransmitRequest::kIoUring);
  CHECK(!read_transmit_request("GSO").has_value());
}

}  // namespace

int main() {
  chooses_super_frames_where_the_kernel_takes_them();
  goes_on_without_io_uring();
  tells_what_cannot_be_had();
  names_and_reasons_differ();
  reads_requests();
}
