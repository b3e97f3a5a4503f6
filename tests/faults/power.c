/*
 * Writes down, in their order, what a process does to files below a folder, so that a test can work
 * out what a power failure at any point would leave. Preloaded (LD_PRELOAD) into the process.
 *
 *   POWER_ROOT     the folder; an absolute path
 *   POWER_JOURNAL  the file to write to, one operation a line, fields separated by tabs
 *
 * What PostgreSQL keeps below a folder `postgres` is its own affair, and left out.
 *
 * Files are named by their inode, because a rename changes the name and not the file.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t journal_lock = PTHREAD_MUTEX_INITIALIZER;

static int is_ours(const char *path) {
    const char *root = getenv("POWER_ROOT");
    return root && strncmp(path, root, strlen(root)) == 0 && !strstr(path, "/postgres");
}

/* Give an absolute path if it is below the folder, else NULL. */
static const char *ours(const char *path, char *buffer) {
    if (!path) return NULL;
    if (path[0] == '/') {
        snprintf(buffer, PATH_MAX, "%s", path);
    } else {
        char here[PATH_MAX];
        if (!getcwd(here, sizeof here)) return NULL;
        snprintf(buffer, PATH_MAX, "%.2000s/%.2000s", here, path);
    }
    return is_ours(buffer) ? buffer : NULL;
}

/* Give the path that a descriptor was opened by, if it is below the folder, else NULL. */
static const char *ours_fd(int fd, char *buffer) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, buffer, PATH_MAX - 1);
    if (size <= 0) return NULL;
    buffer[size] = 0;
    return is_ours(buffer) ? buffer : NULL;
}

static void note(const char *format, ...) {
    const char *name = getenv("POWER_JOURNAL");
    if (!name) return;
    char *line = NULL;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&line, format, arguments);
    va_end(arguments);
    if (size < 0) return;
    pthread_mutex_lock(&journal_lock);
    int journal = syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (journal >= 0) {
        syscall(SYS_write, journal, line, (size_t)size);
        syscall(SYS_close, journal);
    }
    pthread_mutex_unlock(&journal_lock);
    free(line);
}

static unsigned long inode_of(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 ? (unsigned long)status.st_ino : 0;
}

static int opened(int fd, const char *path, int flags, int was_there) {
    if (fd < 0 || (flags & O_TMPFILE) == O_TMPFILE) return fd;
    if (!was_there) note("create\t%s\t%lu\n", path, inode_of(fd));
    else if (flags & O_TRUNC) note("truncate\t%lu\t0\n", inode_of(fd));
    return fd;
}

#define OPEN(name)                                                        \
    int name(const char *path, int flags, ...) {                          \
        va_list arguments;                                                \
        va_start(arguments, flags);                                       \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(arguments, mode_t) : 0; \
        va_end(arguments);                                                \
        char buffer[PATH_MAX];                                            \
        const char *known = (flags & O_CREAT) ? ours(path, buffer) : NULL; \
        int was_there = known ? access(known, F_OK) == 0 : 1;             \
        int fd = REAL(name)(path, flags, mode);                           \
        return known ? opened(fd, known, flags, was_there) : fd;          \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                      \
    int name(int at, const char *path, int flags, ...) {                  \
        va_list arguments;                                                \
        va_start(arguments, flags);                                       \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(arguments, mode_t) : 0; \
        va_end(arguments);                                                \
        char buffer[PATH_MAX];                                            \
        const char *known = (flags & O_CREAT) ? ours(path, buffer) : NULL; \
        int was_there = known ? access(known, F_OK) == 0 : 1;             \
        int fd = REAL(name)(at, path, flags, mode);                       \
        return known ? opened(fd, known, flags, was_there) : fd;          \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int fd, const void *data, size_t size) {
    ssize_t written = REAL(write)(fd, data, size);
    struct stat status;
    char buffer[PATH_MAX];
    if (written <= 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return written;
    if (!ours_fd(fd, buffer)) return written;
    char *hex = malloc(2 * (size_t)written + 1);
    for (ssize_t i = 0; hex && i < written; i++)
        sprintf(hex + 2 * i, "%02x", ((const unsigned char *)data)[i]);
    long offset = (long)lseek(fd, 0, SEEK_CUR) - written;
    if (hex) note("write\t%lu\t%ld\t%s\n", (unsigned long)status.st_ino, offset, hex);
    free(hex);
    return written;
}

static void synced(int fd) {
    struct stat status;
    char buffer[PATH_MAX];
    if (fstat(fd, &status) != 0 || !ours_fd(fd, buffer)) return;
    if (S_ISDIR(status.st_mode)) note("sync folder\t%s\n", buffer);
    else note("sync\t%lu\n", (unsigned long)status.st_ino);
}

int fsync(int fd) {
    int result = REAL(fsync)(fd);
    if (result == 0) synced(fd);
    return result;
}

int fdatasync(int fd) {
    int result = REAL(fdatasync)(fd);
    if (result == 0) synced(fd);
    return result;
}

int ftruncate(int fd, off_t size) {
    int result = REAL(ftruncate)(fd, size);
    char buffer[PATH_MAX];
    if (result == 0 && ours_fd(fd, buffer)) note("truncate\t%lu\t%ld\n", inode_of(fd), (long)size);
    return result;
}

#define ON_PATH(name, operation, parameters, arguments)                   \
    int name parameters {                                                 \
        int result = REAL(name) arguments;                                \
        char buffer[PATH_MAX];                                            \
        if (result == 0 && ours(path, buffer)) note(operation "\t%s\n", buffer); \
        return result;                                                    \
    }
ON_PATH(mkdir, "mkdir", (const char *path, mode_t mode), (path, mode))
ON_PATH(rmdir, "remove", (const char *path), (path))
ON_PATH(unlink, "remove", (const char *path), (path))

#define ON_PATHS(name, operation)                                         \
    int name(const char *from, const char *to) {                          \
        int result = REAL(name)(from, to);                                \
        char first[PATH_MAX], second[PATH_MAX];                           \
        if (result == 0 && ours(from, first) && ours(to, second))         \
            note(operation "\t%s\t%s\n", first, second);                  \
        return result;                                                    \
    }
ON_PATHS(rename, "rename")
ON_PATHS(link, "link")
