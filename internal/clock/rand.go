package clock

import (
	crand "crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"sync"
	"time"
)

// Rand is a source of uniformly distributed bits, safe for concurrent use. It fits math/rand/v2.New.
type Rand interface {
	Uint64() uint64
}

// SystemRand returns the operating system's randomness, good enough for ids that must not be guessed.
func SystemRand() Rand { return systemRand{} }

type systemRand struct{}

func (systemRand) Uint64() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // documented never to return an error
	return binary.LittleEndian.Uint64(b[:])
}

// SeededRand returns the same sequence for the same seed, on every machine.
func SeededRand(seed uint64) Rand {
	return &seededRand{src: rand.NewPCG(seed, seed^0x9e3779b97f4a7c15)}
}

type seededRand struct {
	mu  sync.Mutex // guards src; a leaf lock
	src *rand.PCG
}

func (s *seededRand) Uint64() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.src.Uint64()
}

// Int64N is uniform in [0, n); 0 when n is not positive.
func Int64N(r Rand, n int64) int64 {
	if n <= 0 {
		return 0
	}
	return rand.New(r).Int64N(n) //nolint:gosec // the source decides how strong it is
}

// Jitter is uniform in [0, d): "full jitter", which spreads contenders best.
func Jitter(r Rand, d time.Duration) time.Duration { return time.Duration(Int64N(r, int64(d))) }

// NewUUID returns a random UUID (RFC 9562, version 4) in its lower-case text form.
func NewUUID(r Rand) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], r.Uint64())
	binary.BigEndian.PutUint64(b[8:], r.Uint64())
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// NewToken returns n random bytes as 2n lower-case hex digits.
func NewToken(r Rand, n int) string {
	b := make([]byte, 0, max(n, 0)+8)
	for len(b) < n {
		b = binary.BigEndian.AppendUint64(b, r.Uint64())
	}
	return hex.EncodeToString(b[:max(n, 0)])
}
