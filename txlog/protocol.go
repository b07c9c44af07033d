package txlog

import (
	"fmt"
	"slices"
)

// Check tells whether the action follows the rules of the protocol. Errors match [ErrInvalidProtocol].
//
// Protocol: "Protocol Evolution", "Table Features".
func (p *Protocol) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrInvalidProtocol, fmt.Sprintf(format, args...))
	}
	switch r, w := p.MinReaderVersion, p.MinWriterVersion; {
	case r < 1 || w < 1:
		return bad("versions (%d,%d)", r, w)
	case r > 3 || w > 7:
		return nil // unsupported, which is another error than invalid
	case r == 3 && w < 7:
		return bad("reader version 3 with writer version %d", w)
	case r == 3 && p.ReaderFeatures == nil:
		return bad("reader version 3 without readerFeatures")
	case w == 7 && p.WriterFeatures == nil:
		return bad("writer version 7 without writerFeatures")
	case r < 3 && len(p.ReaderFeatures) > 0:
		return bad("readerFeatures with reader version %d", r)
	case w < 7 && len(p.WriterFeatures) > 0:
		return bad("writerFeatures with writer version %d", w)
	}
	for _, name := range p.ReaderFeatures {
		if !slices.Contains(p.WriterFeatures, name) {
			return bad("%s is in readerFeatures only", clip(name))
		}
	}
	if p.MinReaderVersion == 3 {
		for _, name := range p.WriterFeatures {
			if f, _ := featureNamed(name); f.readerWrite && !slices.Contains(p.ReaderFeatures, name) {
				return bad("%s is in writerFeatures but not in readerFeatures", clip(name))
			}
		}
	}
	return nil
}

// Supports tells whether the table has the feature, listed or implied by an old version number.
func (p *Protocol) Supports(name string) bool {
	for _, n := range p.WriterFeatures {
		if f, _ := featureNamed(n); f.name == name {
			return true
		}
	}
	f, known := featureNamed(name)
	if !known || p.MinWriterVersion >= 7 {
		return false
	}
	return f.writer > 0 && p.MinWriterVersion >= f.writer
}

// checkReadable returns a *FeatureError that lists all that stops us from reading.
func (p *Protocol) checkReadable() error {
	if err := p.Check(); err != nil {
		return err
	}
	var missing []string
	if p.MinReaderVersion > 3 {
		missing = append(missing, fmt.Sprintf("minReaderVersion %d", p.MinReaderVersion))
	}
	for _, name := range p.ReaderFeatures {
		if f, _ := featureNamed(name); !f.read {
			missing = append(missing, clip(name))
		}
	}
	return featureError(false, missing)
}

// checkWritable returns a *FeatureError that lists all that stops us from writing, whether active or not.
func (p *Protocol) checkWritable() error {
	if err := p.checkReadable(); err != nil {
		return err
	}
	var missing []string
	if p.MinWriterVersion > 7 {
		missing = append(missing, fmt.Sprintf("minWriterVersion %d", p.MinWriterVersion))
	}
	for _, name := range slices.Concat(p.WriterFeatures, p.ReaderFeatures) {
		if f, _ := featureNamed(name); !f.write {
			missing = append(missing, clip(name))
		}
	}
	return featureError(true, missing)
}

func featureError(write bool, missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	e := &FeatureError{Write: write, Features: slices.Compact(missing)}
	if slices.ContainsFunc(missing, func(n string) bool {
		return n == FeatureCatalogManaged || n == "catalogOwned-preview"
	}) {
		e.Reason = "a catalog owns the commits of this table: use the catalog's own client"
	}
	return e
}
