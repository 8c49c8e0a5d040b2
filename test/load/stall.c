// Storage that stalls: while the file named by LOAD_STALL is there, every write with an offset and
// every sync of the process waits (LD_PRELOAD; built by the test at run time). Nothing is lost or
// changed: it only takes as long as the file is there.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void wait_for_storage(void) {
  const char *path = getenv("LOAD_STALL");
  while (path && access(path, F_OK) == 0) usleep(2000);
}

int fdatasync(int fd) {
  wait_for_storage();
  return REAL(fdatasync)(fd);
}

int fsync(int fd) {
  wait_for_storage();
  return REAL(fsync)(fd);
}

#define PWRITE(name) \
  ssize_t name(int fd, const void *bytes, size_t size, off_t offset) { \
    wait_for_storage(); \
    return REAL(name)(fd, bytes, size, offset); \
  }
#define PWRITEV(name) \
  ssize_t name(int fd, const struct iovec *parts, int count, off_t offset) { \
    wait_for_storage(); \
    return REAL(name)(fd, parts, count, offset); \
  }

PWRITE(pwrite)
PWRITE(pwrite64)
PWRITEV(pwritev)
PWRITEV(pwritev64)
