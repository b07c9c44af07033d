package miniotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
)

// module is the first line of the go.mod at the root of the repository.
const module = "module github.com/lakectl/lakectl\n"

// root finds the repository above the working folder, which for a test is the folder of its package.
func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		text, err := os.ReadFile(filepath.Join(at, "go.mod"))
		if err == nil && bytes.HasPrefix(text, []byte(module)) {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("no go.mod of lakectl above %s", dir)
		}
	}
}

// CacheDir is where built servers and their data are kept: $LAKE_CACHE_DIR, or .cache of the repository.
func CacheDir() (string, error) {
	if dir := os.Getenv("LAKE_CACHE_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := root()
	return filepath.Join(dir, ".cache"), err
}

// version reads the pinned version out of the server's go.mod.
func version(source string) (string, error) {
	text, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		return "", err
	}
	m := regexp.MustCompile(`(?m)^\s*(?:require )?github\.com/minio/minio (v[0-9A-Za-z.-]+)`).FindSubmatch(text)
	if m == nil {
		return "", fmt.Errorf("%s/go.mod pins no version of MinIO", source)
	}
	return string(m[1]), nil
}

// Binary returns the path of the pinned MinIO server, built now if it is not in the cache: four seconds with a warm Go
// build cache, some minutes without. Processes that ask at the same time wait for one build.
func Binary(ctx context.Context) (string, error) {
	bin, err := binary(ctx)
	if err != nil {
		return "", fmt.Errorf("build MinIO: %w", err)
	}
	return bin, nil
}

func binary(ctx context.Context) (string, error) {
	base, err := root()
	if err != nil {
		return "", err
	}
	source := filepath.Join(base, "deploy", "minio", "server")
	v, err := version(source)
	if err != nil {
		return "", err
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "minio", v)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }() // which lets go of the lock, as the end of the process does
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", dir, err)
	}
	bin := filepath.Join(dir, "minio")
	if _, err := os.Stat(bin); err == nil || !errors.Is(err, os.ErrNotExist) {
		return bin, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin+".new", "github.com/minio/minio")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build in %s: %w\n%s", source, err, out[max(0, len(out)-4000):])
	}
	return bin, os.Rename(bin+".new", bin)
}
