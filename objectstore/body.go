package objectstore

import (
	"bytes"
	"fmt"
	"os"
)

// Bytes is a Body held in memory. The caller must not change b until the Put has returned.
func Bytes(b []byte) Body { return bytesBody{bytes.NewReader(b)} }

type bytesBody struct{ *bytes.Reader }

func (b bytesBody) Size() int64 { return b.Reader.Size() }

// FileBody is a Body in a local file. Stores on the same file system may link it into place instead of copying.
type FileBody struct {
	*os.File
	size int64
}

// OpenFile opens a finished local file as a Body. The caller closes it after the Put, and does not change it.
func OpenFile(path string) (*FileBody, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open staged file: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("stat staged file: %w", err)
	}
	return &FileBody{File: f, size: st.Size()}, nil
}

// Size is the length in bytes when the file was opened.
func (b *FileBody) Size() int64 { return b.size }
