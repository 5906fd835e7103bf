/* Injects faults below a program: loaded with LD_PRELOAD, it fails or ends at the calls that a control file names.
 *
 * FAULT_PATH  part of the paths that are concerned
 * FAULT_FILE  the control file: "CALL FROM COUNT WHAT"
 *             CALL   write, sync or size (writing, syncing, changing a file's size)
 *             FROM   the first call that fails, counted from 1 since the control file was written
 *             COUNT  how many calls fail; 0: all from there on
 *             WHAT   EIO, ENOSPC or KILL
 * An empty or missing control file injects nothing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static char last[128];
static long calls[3];
static int lock;

static const char *names[3] = {"write", "sync", "size"};

/* The errno to fail with, or 0. */
static int fault(int fd, int call) {
    const char *part = getenv("FAULT_PATH"), *control = getenv("FAULT_FILE");
    if (!part || !control) return 0;
    char link[64], path[1024], text[128];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    if (!strstr(path, part)) return 0;
    int file = syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    length = syscall(SYS_read, file, text, sizeof text - 1);
    syscall(SYS_close, file);
    if (length <= 0) return 0;
    text[length] = 0;
    while (__sync_lock_test_and_set(&lock, 1)) usleep(10);
    if (strcmp(text, last)) {
        strcpy(last, text);
        memset(calls, 0, sizeof calls);
    }
    long number = ++calls[call];
    __sync_lock_release(&lock);
    char name[16], what[16];
    long from = 0, count = 0;
    if (sscanf(text, "%15s %ld %ld %15s", name, &from, &count, what) != 4 || strcmp(name, names[call])) return 0;
    if (number < from || (count && number >= from + count)) return 0;
    if (!strcmp(what, "KILL")) kill(getpid(), SIGKILL);
    return strcmp(what, "ENOSPC") ? EIO : ENOSPC;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL(fd, call) do { int code = fault(fd, call); if (code) { errno = code; return -1; } } while (0)

ssize_t write(int fd, const void *bytes, size_t count) { FAIL(fd, 0); return REAL(write)(fd, bytes, count); }
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { FAIL(fd, 0); return REAL(pwrite)(fd, bytes, count, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) { FAIL(fd, 0); return REAL(pwrite64)(fd, bytes, count, at); }
int fsync(int fd) { FAIL(fd, 1); return REAL(fsync)(fd); }
int fdatasync(int fd) { FAIL(fd, 1); return REAL(fdatasync)(fd); }
int ftruncate(int fd, off_t size) { FAIL(fd, 2); return REAL(ftruncate)(fd, size); }
int ftruncate64(int fd, off64_t size) { FAIL(fd, 2); return REAL(ftruncate64)(fd, size); }
