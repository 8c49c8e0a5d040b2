// Stands between a server and the C library (LD_PRELOAD): records what is written to the data
// files, fails chosen calls, and moves the clock of the day. Built by the tests at run time.
//
//   CRASH_RECORD=FILE  every write and sync of the data files, and each file of the journal that is
//                      made, in one order (layout: recording.ts)
//   CRASH_FAULT=FILE:CALL:KIND:NTH:HOW   fails the NTH call: "journal:sync:eio:7:once"
//   CRASH_HIT=FILE     gets one byte for each call that was failed
//   CRASH_CLOCK=FILE   seconds (a double) that are added to the clock of the day at each look
//
// The twist: a write and its record are made under one mutex, so that the order of records is the
// order of effects over all files. A sync is two records, for only what was written before it
// began is on disk when it ends. Calls on all other files pass untouched.
//
// The data files are /journal/N.blocks, each known by the number N, and /tables/data.mdb. Of the
// folder of the journal syncs are seen: they put on disk that a file is there.
//
// What lmdb says of a failed write is held against the room it has for it: see src/mend-lmdb.ts.

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { WRITE = 1, WRITE_SYNCED, SYNC_BEGIN, SYNC_END, TRUNCATE, OUTSIDE, CREATE };
enum { JOURNAL = 1, TABLES, FOLDER };
enum { CALL_WRITE = 1, CALL_META, CALL_ROOM, CALL_SYNC, CALL_CREATE, CALL_FOLDER };
enum { EIO_FAULT = 1, ENOSPC_FAULT, SHORT_FAULT, STALL_FAULT, KILL_FAULT, HANG_FAULT };
enum { FDS_MAX = 65536, IOV_MAX_HERE = 1024, SECTOR = 512 };

#define REAL(name) ({ static __typeof__(&name) f; if (!f) f = dlsym(RTLD_NEXT, #name); f; })

struct record { uint32_t kind, file; uint64_t first, offset, length; };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned char file_of[FDS_MAX], synced[FDS_MAX], appends[FDS_MAX];
static uint64_t first_of[FDS_MAX];
static int record_fd = -1, hit_fd = -1;
static uint64_t sync_count;
static int fault_file, fault_call, fault_kind, fault_nth, fault_always, fault_count;
static volatile double *shift;

static int index_of(const char *word, const char *const *words) {
  for (int i = 0; words[i]; i++) if (!strcmp(word, words[i])) return i + 1;
  fprintf(stderr, "preload: unknown word %s\n", word);
  abort();
}

__attribute__((constructor)) static void begin(void) {
  static const char *const files[] = {"journal", "tables", 0};
  static const char *const calls[] = {"write", "meta", "room", "sync", "create", "folder", 0};
  static const char *const kinds[] = {"eio", "enospc", "short", "stall", "kill", "hang", 0};
  const char *path = getenv("CRASH_RECORD");
  int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
  if (path) record_fd = REAL(open)(path, flags, 0600);
  if ((path = getenv("CRASH_HIT"))) hit_fd = REAL(open)(path, flags, 0600);
  if ((path = getenv("CRASH_CLOCK"))) {
    int fd = REAL(open)(path, O_RDONLY | O_CLOEXEC);
    void *map = REAL(mmap)(0, sizeof(double), PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) abort();
    shift = map;
  }
  const char *text = getenv("CRASH_FAULT");
  char file[16], call[16], kind[16], how[16];
  if (!text) return;
  if (sscanf(text, "%15[^:]:%15[^:]:%15[^:]:%d:%15s", file, call, kind, &fault_nth, how) != 5) abort();
  fault_file = index_of(file, files);
  fault_call = index_of(call, calls);
  fault_kind = index_of(kind, kinds);
  fault_always = !strcmp(how, "always");
}

static int data_file(int fd) { return fd >= 0 && fd < FDS_MAX ? file_of[fd] : 0; }

static int ends(const char *path, const char *tail) {
  size_t n = strlen(path), m = strlen(tail);
  return n >= m && !strcmp(path + n - m, tail);
}

// The number of a file of the journal, its first position; 0 it is none.
static uint64_t first_in(const char *path) {
  static const char folder[] = "/journal";
  const char *name = strrchr(path, '/');
  size_t n = sizeof folder - 1;
  if (!name || (size_t)(name - path) < n || strncmp(name - n, folder, n)) return 0;
  return ends(path, ".blocks") ? strtoull(name + 1, 0, 10) : 0;
}

static int opened(int fd, const char *path, int flags) {
  if (fd < 0 || fd >= FDS_MAX) return fd;
  first_of[fd] = first_in(path);
  file_of[fd] = first_of[fd] ? JOURNAL
    : ends(path, "/tables/data.mdb") ? TABLES : ends(path, "/journal") ? FOLDER : 0;
  synced[fd] = (flags & O_DSYNC) != 0;
  appends[fd] = (flags & O_APPEND) != 0;
  return fd;
}

// Called under the mutex.
static void note(int kind, int fd, uint64_t offset, uint64_t length, const struct iovec *iov) {
  struct record head = {kind, file_of[fd], first_of[fd], offset, length};
  if (record_fd < 0) return;
  if (REAL(write)(record_fd, &head, sizeof head) != sizeof head) abort();
  for (uint64_t left = kind <= WRITE_SYNCED ? length : 0; left > 0; iov++) {
    size_t size = iov->iov_len < left ? iov->iov_len : left;
    if (REAL(write)(record_fd, iov->iov_base, size) != (ssize_t)size) abort();
    left -= size;
  }
}

static void note_alone(int kind, int fd, uint64_t offset, uint64_t length) {
  pthread_mutex_lock(&mutex);
  note(kind, fd, offset, length, 0);
  pthread_mutex_unlock(&mutex);
}

// Which fault this call meets, 0 none.
static int fault(int file, int call) {
  if (file != fault_file || call != fault_call) return 0;
  int count = __atomic_add_fetch(&fault_count, 1, __ATOMIC_SEQ_CST);
  if (fault_always ? count < fault_nth : count != fault_nth) return 0;
  if (hit_fd >= 0 && REAL(write)(hit_fd, "x", 1) != 1) abort();
  if (fault_kind == STALL_FAULT) sleep(8);
  while (fault_kind == HANG_FAULT) pause();
  return fault_kind == STALL_FAULT ? 0 : fault_kind;
}

static int failed(int kind) {
  errno = kind == ENOSPC_FAULT ? ENOSPC : EIO;
  return -1;
}

// The first half of a write, in whole sectors: a disk has a sector or has it not.
static int halve(struct iovec *half, const struct iovec *iov, int count) {
  size_t total = 0;
  for (int i = 0; i < count; i++) total += iov[i].iov_len;
  size_t left = total / 2 / SECTOR * SECTOR;
  int used = 0;
  for (; used < count && left > 0; used++) {
    half[used] = iov[used];
    if (half[used].iov_len > left) half[used].iov_len = left;
    left -= half[used].iov_len;
  }
  return used;
}

static ssize_t write_data(int fd, const struct iovec *iov, int count, off_t offset, int moves) {
  struct iovec half[IOV_MAX_HERE];
  int call = appends[fd] ? CALL_ROOM : synced[fd] ? CALL_META : CALL_WRITE;
  int kind = fault(file_of[fd], call);
  if (kind == EIO_FAULT || kind == ENOSPC_FAULT) return failed(kind);
  if (kind != 0) {
    count = halve(half, iov, count);
    iov = half;
  }
  pthread_mutex_lock(&mutex);
  if (moves) offset = lseek(fd, 0, SEEK_CUR);
  ssize_t size = moves ? REAL(writev)(fd, iov, count) : REAL(pwritev)(fd, iov, count, offset);
  int error = errno;
  if (size > 0 && appends[fd]) offset = lseek(fd, 0, SEEK_CUR) - size;
  if (size > 0) note(synced[fd] ? WRITE_SYNCED : WRITE, fd, offset, size, iov);
  if (kind == KILL_FAULT) kill(getpid(), SIGKILL);
  pthread_mutex_unlock(&mutex);
  errno = error;
  return size;
}

static int sync_data(int fd, int (*real)(int)) {
  if (!data_file(fd)) return real(fd);
  int of_folder = file_of[fd] == FOLDER;
  int kind = fault(of_folder ? JOURNAL : file_of[fd], of_folder ? CALL_FOLDER : CALL_SYNC);
  if (kind == KILL_FAULT) kill(getpid(), SIGKILL);
  if (kind != 0) return failed(kind);
  uint64_t id = __atomic_add_fetch(&sync_count, 1, __ATOMIC_SEQ_CST);
  note_alone(SYNC_BEGIN, fd, id, 0);
  int result = real(fd);
  if (result == 0) note_alone(SYNC_END, fd, id, 0);
  return result;
}

int fdatasync(int fd) { return sync_data(fd, REAL(fdatasync)); }
int fsync(int fd) { return sync_data(fd, REAL(fsync)); }

// Opens by `call`; that a file of the journal is made is noted as it is made.
#define OPENED(path, flags, call) \
  int makes = (flags & O_CREAT) != 0 && first_in(path) != 0; \
  int kind = makes ? fault(JOURNAL, CALL_CREATE) : 0; \
  if (kind == EIO_FAULT || kind == ENOSPC_FAULT) return failed(kind); \
  if (makes) pthread_mutex_lock(&mutex); \
  int fd = opened(call, path, flags); \
  if (makes && fd >= 0) note(CREATE, fd, 0, 0, 0); \
  if (kind == KILL_FAULT) kill(getpid(), SIGKILL); \
  if (makes) pthread_mutex_unlock(&mutex); \
  return fd;

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    va_list rest; \
    va_start(rest, flags); \
    int mode = va_arg(rest, int); \
    va_end(rest); \
    OPENED(path, flags, REAL(name)(path, flags, mode)) \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
  int name(int folder, const char *path, int flags, ...) { \
    va_list rest; \
    va_start(rest, flags); \
    int mode = va_arg(rest, int); \
    va_end(rest); \
    OPENED(path, flags, REAL(name)(folder, path, flags, mode)) \
  }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
  if (fd >= 0 && fd < FDS_MAX) file_of[fd] = 0;
  return REAL(close)(fd);
}

ssize_t write(int fd, const void *bytes, size_t size) {
  if (!data_file(fd)) return REAL(write)(fd, bytes, size);
  struct iovec iov = {(void *)bytes, size};
  return write_data(fd, &iov, 1, 0, 1);
}

ssize_t writev(int fd, const struct iovec *iov, int count) {
  return data_file(fd) ? write_data(fd, iov, count, 0, 1) : REAL(writev)(fd, iov, count);
}

#define PWRITE(name) \
  ssize_t name(int fd, const void *bytes, size_t size, off_t offset) { \
    if (!data_file(fd)) return REAL(name)(fd, bytes, size, offset); \
    struct iovec iov = {(void *)bytes, size}; \
    return write_data(fd, &iov, 1, offset, 0); \
  }
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(name) \
  ssize_t name(int fd, const struct iovec *iov, int count, off_t offset) { \
    if (!data_file(fd)) return REAL(name)(fd, iov, count, offset); \
    return write_data(fd, iov, count, offset, 0); \
  }
PWRITEV(pwritev)
PWRITEV(pwritev64)

#define TRUNCATE_TO(name) \
  int name(int fd, off_t length) { \
    if (!data_file(fd)) return REAL(name)(fd, length); \
    pthread_mutex_lock(&mutex); \
    int result = REAL(name)(fd, length); \
    if (result == 0) note(TRUNCATE, fd, 0, length, 0); \
    pthread_mutex_unlock(&mutex); \
    return result; \
  }
TRUNCATE_TO(ftruncate)
TRUNCATE_TO(ftruncate64)

// What is stored through a map is not seen here: the recording then says that it is not whole.
#define MAP(name) \
  void *name(void *at, size_t length, int protection, int flags, int fd, off_t offset) { \
    int shared = (flags & MAP_TYPE) != MAP_PRIVATE; \
    if (shared && (protection & PROT_WRITE) && data_file(fd)) note_alone(OUTSIDE, fd, 0, 0); \
    return REAL(name)(at, length, protection, flags, fd, offset); \
  }
MAP(mmap)
MAP(mmap64)

int clock_gettime(clockid_t clock, struct timespec *now) {
  int result = REAL(clock_gettime)(clock, now);
  if (shift && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *shift;
  return result;
}

int gettimeofday(struct timeval *now, void *zone) {
  int result = REAL(gettimeofday)(now, zone);
  if (shift) now->tv_sec += *shift;
  return result;
}

time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}

// The longest text that lmdb's message of a failed write can have must fit in the room it has:
// what it is this time hangs on what the stack happens to hold. Its numbers have 32 bits.
static void check_room(const char *to, const char *format) {
  static const char message[] = "Attempting to write page";
  if (strncmp(format, message, sizeof message - 1)) return;
  size_t size = 1;
  for (const char *at = format; *at; at++) {
    if (*at == '%') size += *++at == 'u' ? 10 : 11;
    else size++;
  }
  if (size <= malloc_usable_size((void *)to)) return;
  fprintf(stderr, "\npreload: lmdb may write %zu bytes where it has less room\n", size);
  abort();
}

int sprintf(char *to, const char *format, ...) {
  va_list rest;
  check_room(to, format);
  va_start(rest, format);
  int length = vsprintf(to, format, rest);
  va_end(rest);
  return length;
}
