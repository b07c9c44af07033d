package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// object says which bytes are meant: those of one ETag.
type object struct {
	url, key string
	size     int64
	etag     string
}

// alias names the object whatever its ETag.
func (o object) alias() string {
	h := sha256.Sum256([]byte(o.url + "\x00" + o.key))
	return hex.EncodeToString(h[:]) + "-" + strconv.FormatInt(o.size, 10)
}

// name of the files that keep the object. Equal names mean equal bytes. It begins with the alias.
func (o object) name() string {
	h := sha256.Sum256([]byte(o.etag))
	return o.alias() + "-" + hex.EncodeToString(h[:8])
}

// aliasOf is the alias within a name.
func aliasOf(name string) string { return name[:max(0, strings.LastIndexByte(name, '-'))] }

// blocks is the run that covers a part of the object.
func (o object) blocks(s Span) run {
	s.From, s.To = max(s.From, 0), min(s.To, o.size)
	if s.From >= s.To {
		return run{}
	}
	return run{s.From / blockSize, (s.To + blockSize - 1) / blockSize}
}

// length is the bytes of a run.
func (o object) length(r run) int64 { return max(0, min(r.to*blockSize, o.size)-r.from*blockSize) }

// Bounds of the end of an object that comes with its ETag: most footers lie within a part in 256 of the file.
const (
	endingMin  = 64 << 10
	endingMax  = 512 << 10
	endingPart = 256
)

// ending is the end of an object, or all of a small one.
func (o object) ending() run {
	if o.size <= wholeMax {
		return o.blocks(Span{0, o.size})
	}
	n := min(max(o.size/endingPart, endingMin), endingMax)
	return o.blocks(Span{o.size - n, o.size})
}

// etagMax bounds the ETag of an object in bytes; those that stores give have some forty.
const etagMax = 1024

// knownETag is the ETag that an object had when this cache first met it.
func (c *Cache) knownETag(o object) (etag string, ok bool) {
	f, err := os.Open(filepath.Join(c.dir, etagsFolder, o.alias()))
	if err != nil {
		return "", false
	}
	defer func() { _ = f.Close() }() // read only
	b, err := io.ReadAll(io.LimitReader(f, etagMax+10))
	if err != nil {
		return "", false
	}
	sum, etag, ok := strings.Cut(string(b), " ")
	return etag, ok && sum == c.etagSum(etag)
}

// rememberETag writes down the ETag of an object, best effort.
func (c *Cache) rememberETag(o object) {
	if len(o.etag) > etagMax {
		return
	}
	temp := filepath.Join(c.use.Dir, "etag-"+o.name())
	err := os.WriteFile(temp, []byte(c.etagSum(o.etag)+" "+o.etag), 0o600)
	if err == nil {
		err = os.Rename(temp, filepath.Join(c.dir, etagsFolder, o.alias()))
	}
	if err != nil {
		c.options.Logger.Warn("etag is not kept", "key", o.key, "error", err)
	}
}

func (c *Cache) etagSum(etag string) string {
	return strconv.FormatUint(uint64(crc32.Checksum([]byte(etag), c.table)), 16)
}
