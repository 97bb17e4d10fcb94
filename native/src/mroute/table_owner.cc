#include "mroute/table_owner.h"

#include <netinet/in.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace mcfleet::mroute {

namespace fs = std::filesystem;

namespace {

// Raw sockets of the protocol that multicast routing wants. Their "port" is the protocol.
std::set<std::string> routing_sockets(Family family) {
  const bool ipv4 = family == Family::ipv4;
  std::ifstream file(ipv4 ? "/proc/thread-self/net/raw" : "/proc/thread-self/net/raw6");
  const std::string protocol = ipv4 ? ":0002" : ":003A";
  std::set<std::string> found;
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string number, local, skipped, inode;
    words >> number >> local;
    // Of raw sockets: remote, state, queues, timer, retransmits, user, timeout.
    for (int i = 0; i < 7; i++) words >> skipped;
    words >> inode;
    if (words && local.ends_with(protocol)) found.insert("socket:[" + inode + "]");
  }
  return found;
}

bool holds_one(const fs::path& process, const std::set<std::string>& sockets) {
  std::error_code gone;
  for (fs::directory_iterator entry(process / "fd", gone), end; !gone && entry != end;
       entry.increment(gone)) {
    std::error_code closed;
    if (sockets.contains(fs::read_symlink(entry->path(), closed).string())) return true;
  }
  return false;
}

}  // namespace

std::vector<SocketHolder> find_table_owners(Family family, int except) {
  std::set<std::string> sockets = routing_sockets(family);
  struct stat own {};
  if (except >= 0 && ::fstat(except, &own) == 0)
    sockets.erase("socket:[" + std::to_string(own.st_ino) + "]");
  std::vector<SocketHolder> holders;
  if (sockets.empty()) return holders;
  std::error_code failed;
  for (fs::directory_iterator entry("/proc", failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const int pid = std::atoi(entry->path().filename().c_str());
    if (pid <= 0 || !holds_one(entry->path(), sockets)) continue;
    std::ifstream file(entry->path() / "comm");
    SocketHolder holder{pid, ""};
    std::getline(file, holder.command);
    holders.push_back(std::move(holder));
  }
  return holders;
}

}  // namespace mcfleet::mroute
