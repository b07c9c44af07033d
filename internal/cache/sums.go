package cache

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
)

// Beside each sparse file stands one of checksums: eight bytes for each block, in order, of which the first four are
// the CRC-32C of the block and the others one of the name of the file, the number of the block and its checksum. A
// block is here when both are right; zeros, which is what a hole reads as, are not. So
//
//   - a block whose writing was cut short has no checksum, since that is written afterwards, or a wrong one, where a
//     machine lost power and its disk kept the later of two writes;
//   - a checksum that was itself cut short does not fit its second half;
//   - checksums of a file that another process has removed say nothing wrong of the one that took its place.
//
// Every block is read again and compared before an engine may read it.

// sumSize is the length of the entry of a block.
const sumSize = 8

// sumsSuffix tells the link to checksums from the link to the data.
const sumsSuffix = ".sums"

// sumsSize is the size of the checksums of an object.
func sumsSize(size int64) int64 { return (size + blockSize - 1) / blockSize * sumSize }

// seal is the second half of an entry.
func (c *Cache) seal(name string, block int64, sum uint32) uint32 {
	var b [12]byte
	binary.LittleEndian.PutUint64(b[:], uint64(block)) //nolint:gosec // a number of a block is not negative
	binary.LittleEndian.PutUint32(b[8:], sum)
	return crc32.Update(crc32.Checksum([]byte(name), c.table), c.table, b[:])
}

// pair is the open files of an object.
type pair struct {
	data, sums *os.File
}

func (f *File) files() (p pair, err error) {
	if p.data, err = os.OpenFile(f.path, os.O_RDWR, 0); err != nil {
		return p, err
	}
	if p.sums, err = os.OpenFile(f.path+sumsSuffix, os.O_RDWR, 0); err != nil {
		return p, errors.Join(err, p.data.Close())
	}
	return p, nil
}

func (p pair) close() error { return errors.Join(p.data.Close(), p.sums.Close()) }

// missing returns the blocks of runs that are not here, and reads those that are.
func (f *File) missing(ctx context.Context, runs []run) (out []run, err error) {
	p, err := f.files()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	buf, err := borrow(ctx, f.cache.checks)
	if err != nil {
		return nil, err
	}
	defer func() { f.cache.checks <- buf }()
	for _, r := range runs {
		for ; r.from < r.to; r.from += bufferSize / blockSize {
			part := run{r.from, min(r.to, r.from+bufferSize/blockSize)}
			if out, err = f.check(p, part, buf, out); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// check adds the blocks of a short run to those that are missing, unless they are here.
func (f *File) check(p pair, r run, buf []byte, missing []run) ([]run, error) {
	entries := make([]byte, r.count()*sumSize)
	if _, err := p.sums.ReadAt(entries, r.from*sumSize); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for b := r.from; b < r.to; b++ {
		entry := entries[(b-r.from)*sumSize:][:sumSize]
		sum, seal := binary.LittleEndian.Uint32(entry), binary.LittleEndian.Uint32(entry[4:])
		if sum == 0 && seal == 0 || seal != f.cache.seal(f.name, b, sum) {
			missing = add(missing, run{b, b + 1})
			continue
		}
		length := min(blockSize, f.object.size-b*blockSize)
		block := buf[:length]
		if _, err := p.data.ReadAt(block, b*blockSize); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if crc32.Checksum(block, f.cache.table) != sum {
			f.cache.damaged.Add(1)
			f.cache.options.Logger.Warn("cached bytes have changed on disk and are fetched again", "key", f.object.key, "offset", b*blockSize)
			if _, err := p.sums.WriteAt(make([]byte, sumSize), b*sumSize); err != nil {
				return nil, err
			}
			missing = add(missing, run{b, b + 1})
		}
	}
	return missing, nil
}

// write keeps whole blocks, from number first on: first their bytes, then their checksums.
func (f *File) write(p pair, first int64, data []byte) error {
	if _, err := p.data.WriteAt(data, first*blockSize); err != nil {
		return err
	}
	entries := make([]byte, 0, len(data)/blockSize*sumSize+sumSize)
	for b := first; len(data) > 0; b++ {
		n := min(len(data), blockSize)
		sum := crc32.Checksum(data[:n], f.cache.table)
		entries = binary.LittleEndian.AppendUint32(entries, sum)
		entries = binary.LittleEndian.AppendUint32(entries, f.cache.seal(f.name, b, sum))
		data = data[n:]
	}
	_, err := p.sums.WriteAt(entries, first*sumSize)
	return err
}
