package txlog

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/mutant"
	"github.com/lakectl/lakectl/objectstore"
)

// A deletion vector lists the deleted rows of one data file, counted from 0 over the physical file.
//
// Its blob is little endian: a magic number, the number of buckets, and per bucket the upper half of the row numbers
// and a standard 32-bit Roaring bitmap of the lower halves. A file of vectors is one version byte and then, per
// vector, the size of its blob (big endian), the blob, and its CRC-32 (big endian); several data files share one.
const (
	vectorMagic       = 1681511377 // the portable layout, the only one written
	vectorMagicNative = 1681511376 // an older one: a count and bitmaps with their length
	vectorFileVersion = 1
	vectorUUIDDigits  = 20 // Z85 characters of a UUID
)

// uniqueID is a deletion vector's part of a file key; "" for no vector.
func (d *DeletionVectorDescriptor) uniqueID() string {
	if d == nil {
		return ""
	}
	id := d.StorageType + d.PathOrInlineDv
	if d.Offset != nil {
		id += "@" + strconv.Itoa(int(*d.Offset))
	}
	return id
}

// Equal tells whether two descriptors name the same vector; nil means none.
func (d *DeletionVectorDescriptor) Equal(o *DeletionVectorDescriptor) bool {
	return d.uniqueID() == o.uniqueID()
}

// checkDescriptor refuses descriptors that cannot be right, before anything is read on their behalf.
func checkDescriptor(d *DeletionVectorDescriptor) error {
	switch {
	case d == nil:
		return nil
	case d.SizeInBytes < 0 || d.Cardinality < 0 || d.Offset != nil && *d.Offset < 0:
		return fmt.Errorf("%w: negative size, offset or cardinality", ErrDeletionVector)
	case d.StorageType == "i" && d.Offset != nil:
		return fmt.Errorf("%w: inline vector with an offset", ErrDeletionVector)
	case d.StorageType == "u" && len(d.PathOrInlineDv) < vectorUUIDDigits:
		return fmt.Errorf("%w: name of %d characters", ErrDeletionVector, len(d.PathOrInlineDv))
	case d.StorageType != "u" && d.StorageType != "p" && d.StorageType != "i":
		return fmt.Errorf("%w: storage type %q", ErrDeletionVector, clip(d.StorageType))
	}
	return nil
}

// Path is where the vector's file lies; ok is false for inline vectors.
func (d *DeletionVectorDescriptor) Path() (p Path, ok bool, err error) {
	if err := checkDescriptor(d); err != nil || d == nil || d.StorageType == "i" {
		return Path{}, false, err
	}
	if d.StorageType == "p" {
		p, err := DecodePath(d.PathOrInlineDv)
		if err != nil {
			return Path{}, false, fmt.Errorf("deletion vector: %w", err)
		}
		return p, true, nil
	}
	cut := len(d.PathOrInlineDv) - vectorUUIDDigits
	id, err := decodeZ85(d.PathOrInlineDv[cut:])
	if err != nil {
		return Path{}, false, fmt.Errorf("%w: %w", ErrDeletionVector, err)
	}
	key := "deletion_vector_" + uuidText(id) + ".bin"
	if prefix := d.PathOrInlineDv[:cut]; prefix != "" {
		key = prefix + "/" + key
	}
	if err := checkKey(key); err != nil {
		return Path{}, false, fmt.Errorf("deletion vector: %w", err)
	}
	return Path{Key: key}, true, nil
}

// uuidText prints 16 bytes the way UUIDs are printed.
func uuidText(id []byte) string {
	h := hex.EncodeToString(id)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// ReadDeletionVector reads and checks the rows that d deletes. numRecords is the number of physical rows of the data
// file, -1 when unknown. The caller owns the bitmap.
//
// Protocol: "Deletion Vectors". Errors match [ErrDeletionVector]; *limits.Error; the errors of the store.
// Cost: nothing for inline vectors, else two ranged GETs.
func (l *Log) ReadDeletionVector(ctx context.Context, d *DeletionVectorDescriptor, numRecords int64) (*roaring64.Bitmap, error) {
	if d == nil {
		return roaring64.New(), nil
	}
	bound := l.options.Limits
	for _, c := range []struct {
		name  string
		value int64
	}{{"deletion_vector_bytes", int64(d.SizeInBytes)}, {"deletion_vector_bits", d.Cardinality}} {
		if err := bound.Check(c.name, c.value); err != nil {
			return nil, err
		}
	}
	blob, err := l.vectorBlob(ctx, d)
	if err != nil {
		return nil, err
	}
	b, err := decodeVector(blob, bound)
	if err != nil {
		return nil, err
	}
	switch n := b.GetCardinality(); {
	case n != uint64(d.Cardinality) && !mutant.On(mutant.CardinalityUnchecked): //nolint:gosec // checked not to be negative
		return nil, fmt.Errorf("%w: %d rows, the log says %d", ErrDeletionVector, n, d.Cardinality)
	case n > 0 && numRecords >= 0 && b.Maximum() >= uint64(numRecords):
		return nil, fmt.Errorf("%w: row %d in a file of %d rows", ErrDeletionVector, b.Maximum(), numRecords)
	}
	if mutant.On(mutant.VectorOffByOne) {
		return offByOne(b), nil
	}
	return b, nil
}

// vectorBlob fetches the bytes of a vector and checks their size and, in a file, their checksum.
func (l *Log) vectorBlob(ctx context.Context, d *DeletionVectorDescriptor) ([]byte, error) {
	path, inFile, err := d.Path()
	if err != nil {
		return nil, err
	}
	if !inFile {
		blob, err := decodeZ85(d.PathOrInlineDv)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDeletionVector, err)
		}
		// Z85 fills up to a multiple of four.
		if size := int(d.SizeInBytes); size > len(blob) || len(blob)-size > 3 {
			return nil, fmt.Errorf("%w: %d bytes, the log says %d", ErrDeletionVector, len(blob), d.SizeInBytes)
		}
		return blob[:d.SizeInBytes], nil
	}
	key, err := l.pathKey(path)
	if err != nil {
		return nil, err
	}
	var offset int64
	if d.Offset != nil {
		offset = int64(*d.Offset)
	}
	size, err := l.checkVectorFile(ctx, key)
	if err != nil {
		return nil, err
	}
	// Room is made for no more than is there.
	if have := size - max(offset, 1); have < int64(d.SizeInBytes)+8 {
		return nil, fmt.Errorf("read %s: %w: cut short", key, ErrDeletionVector)
	}
	// No known writer omits the offset; without one the frame starts behind the version byte.
	frame := make([]byte, int64(d.SizeInBytes)+8)
	if _, err := l.readVectorFile(ctx, key, max(offset, 1), frame); err != nil {
		return nil, err
	}
	blob := frame[4 : len(frame)-4]
	if size := binary.BigEndian.Uint32(frame); size != uint32(d.SizeInBytes) { //nolint:gosec // not negative
		return nil, fmt.Errorf("%w: file says %d bytes, the log %d", ErrDeletionVector, size, d.SizeInBytes)
	}
	if sum := crc32.ChecksumIEEE(blob); sum != binary.BigEndian.Uint32(frame[len(frame)-4:]) {
		return nil, fmt.Errorf("%w: checksum differs", ErrDeletionVector)
	}
	return blob, nil
}

// checkVectorFile reads the version byte of a vector file and returns the file's size.
func (l *Log) checkVectorFile(ctx context.Context, key string) (int64, error) {
	var version [1]byte
	size, err := l.readVectorFile(ctx, key, 0, version[:])
	if err != nil {
		return 0, err
	}
	if version[0] != vectorFileVersion {
		return 0, fmt.Errorf("%w: file version %d", ErrDeletionVector, version[0])
	}
	return size, nil
}

// readVectorFile reads a part of a vector file and returns the size of the whole. A file that is missing matches
// ErrFileGone, one that is too short ErrDeletionVector.
func (l *Log) readVectorFile(ctx context.Context, key string, offset int64, buf []byte) (int64, error) {
	info, err := readRange(ctx, l.store, key, offset, buf)
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		return 0, fmt.Errorf("read deletion vector: %w: %s: %w", ErrFileGone, key, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return 0, fmt.Errorf("read %s: %w: cut short", key, ErrDeletionVector)
	case err != nil:
		return 0, fmt.Errorf("read deletion vector %s: %w", key, err)
	}
	return info.Size, nil
}

// decodeVector reads a blob. Structure and bounds are checked before the 64-bit bitmap is built, which keeps long
// runs as runs: a small hostile vector cannot grow into a large one.
func decodeVector(blob []byte, bound limits.Limits) (b *roaring64.Bitmap, err error) {
	defer func() {
		if p := recover(); p != nil {
			b, err = nil, fmt.Errorf("%w: bitmap is damaged", ErrDeletionVector)
		}
	}()
	if len(blob) < 4 {
		return nil, fmt.Errorf("%w: %d bytes", ErrDeletionVector, len(blob))
	}
	d := vectorDecoder{rest: blob[4:], bound: bound}
	var portable []byte
	switch magic := binary.LittleEndian.Uint32(blob); magic {
	case vectorMagic:
		err = d.portable()
		portable = blob[4:]
	case vectorMagicNative:
		portable, err = d.native()
	default:
		err = fmt.Errorf("magic number %d", magic)
	}
	if err == nil && len(d.rest) != 0 {
		err = fmt.Errorf("%d bytes after the last bitmap", len(d.rest))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDeletionVector, err)
	}
	b = roaring64.New()
	if _, err := b.ReadFrom(bytes.NewReader(portable)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDeletionVector, err)
	}
	return b, nil
}

type vectorDecoder struct {
	rest  []byte
	rows  uint64
	bound limits.Limits
}

var errVectorCut = errors.New("cut short")

func (d *vectorDecoder) portable() error {
	if len(d.rest) < 8 {
		return errVectorCut
	}
	buckets := binary.LittleEndian.Uint64(d.rest)
	d.rest = d.rest[8:]
	if buckets > uint64(len(d.rest))/12 {
		return fmt.Errorf("%d bitmaps in %d bytes", buckets, len(d.rest))
	}
	last := int64(-1)
	for range buckets {
		if len(d.rest) < 4 {
			return errVectorCut
		}
		high := binary.LittleEndian.Uint32(d.rest)
		if high > math.MaxInt32 || int64(high) <= last {
			return fmt.Errorf("bucket %d after %d", high, last)
		}
		last = int64(high)
		d.rest = d.rest[4:]
		if err := d.bucket(); err != nil {
			return err
		}
	}
	return nil
}

// native checks the older layout and returns the same buckets in the portable one.
func (d *vectorDecoder) native() ([]byte, error) {
	if len(d.rest) < 4 {
		return nil, errVectorCut
	}
	buckets := binary.LittleEndian.Uint32(d.rest)
	d.rest = d.rest[4:]
	if uint64(buckets) > uint64(len(d.rest))/12 {
		return nil, fmt.Errorf("%d bitmaps in %d bytes", buckets, len(d.rest))
	}
	out := binary.LittleEndian.AppendUint64(make([]byte, 0, len(d.rest)+16), uint64(buckets))
	for high := range buckets {
		if len(d.rest) < 4 {
			return nil, errVectorCut
		}
		size := binary.LittleEndian.Uint32(d.rest)
		d.rest = d.rest[4:]
		if uint64(size) > uint64(len(d.rest)) {
			return nil, errVectorCut
		}
		before := d.rest
		if err := d.bucket(); err != nil {
			return nil, err
		}
		if len(before)-len(d.rest) != int(size) {
			return nil, errors.New("bitmap differs from its length")
		}
		out = binary.LittleEndian.AppendUint32(out, high)
		out = append(out, before[:size]...)
	}
	return out, nil
}

// bucket checks one 32-bit bitmap, counts its rows and moves behind it.
func (d *vectorDecoder) bucket() error {
	low := roaring.New()
	n, err := low.ReadFrom(bytes.NewReader(d.rest))
	if err != nil || n <= 0 || n > int64(len(d.rest)) {
		return errors.New("bitmap is damaged")
	}
	if err := low.Validate(); err != nil {
		return fmt.Errorf("bitmap is damaged: %w", err)
	}
	d.rows += low.GetCardinality()
	d.rest = d.rest[n:]
	return d.bound.Check("deletion_vector_bits", int64(min(d.rows, math.MaxInt64)))
}

// encodeVector writes the blob of a vector, byte for byte as Spark does for the same rows.
func encodeVector(b *roaring64.Bitmap) ([]byte, error) {
	c := b.Clone()
	c.RunOptimize()
	var out bytes.Buffer
	out.Write(binary.LittleEndian.AppendUint32(nil, vectorMagic))
	if _, err := c.WriteTo(&out); err != nil {
		return nil, fmt.Errorf("encode deletion vector: %w", err)
	}
	return out.Bytes(), nil
}

// WriteDeletionVectors puts one file that holds all the vectors and describes each of them, in order. Nothing is
// visible before a commit names them. An empty bitmap is an error: a file without deleted rows has no vector.
//
// Cost: one PUT under a new name at the table root.
func (l *Log) WriteDeletionVectors(ctx context.Context, bs []*roaring64.Bitmap) ([]*DeletionVectorDescriptor, error) {
	if len(bs) == 0 {
		return nil, nil
	}
	id := clock.NewUUID(l.options.Rand)
	raw, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil {
		return nil, fmt.Errorf("write deletion vectors: %w", err)
	}
	name := encodeZ85(raw)
	file := []byte{vectorFileVersion}
	out := make([]*DeletionVectorDescriptor, 0, len(bs))
	for _, b := range bs {
		if b == nil || b.IsEmpty() {
			return nil, fmt.Errorf("write deletion vectors: %w: no rows", ErrDeletionVector)
		}
		rows := b.GetCardinality()
		if err := l.options.Limits.Check("deletion_vector_bits", int64(min(rows, math.MaxInt64))); err != nil {
			return nil, err
		}
		blob, err := encodeVector(b)
		if err != nil {
			return nil, err
		}
		if err := l.options.Limits.Check("deletion_vector_bytes", int64(len(blob))); err != nil {
			return nil, err
		}
		if len(file) > math.MaxInt32-len(blob)-8 {
			return nil, limits.Over("deletion_vector_bytes", int64(len(file)+len(blob)), math.MaxInt32)
		}
		offset := int32(len(file)) //nolint:gosec // bounded above
		out = append(out, &DeletionVectorDescriptor{
			StorageType: "u", PathOrInlineDv: name, Offset: &offset,
			SizeInBytes: int32(len(blob)), Cardinality: int64(rows), //nolint:gosec // bounded above
		})
		file = binary.BigEndian.AppendUint32(file, uint32(len(blob))) //nolint:gosec // bounded above
		file = append(file, blob...)
		file = binary.BigEndian.AppendUint32(file, crc32.ChecksumIEEE(blob))
	}
	key := l.Key("deletion_vector_" + id + ".bin")
	if _, err := l.store.Put(ctx, key, objectstore.Bytes(file), objectstore.CreateOnly); err != nil {
		if err = l.settleUnique(ctx, key, int64(len(file)), err); err != nil {
			return nil, fmt.Errorf("write deletion vectors %s: %w", key, err)
		}
	}
	return out, nil
}
