package txlog

import (
	"slices"

	"github.com/lakectl/lakectl/internal/parquetio"
)

// fileTexts holds a text for each of many files, as parts of a few blocks: a million texts cost twelve bytes each beside
// their characters and no pointer, so that the collector of garbage has nothing to follow. Texts that follow the last one
// which says anything are "" and cost nothing.
type fileTexts struct {
	blocks []string // the first is ""
	parts  []textPart

	expected int // texts, when the first one comes
}

// textPart is where a text stands.
type textPart struct {
	block uint32
	span  parquetio.Span
}

// at is text i; it shares the memory of its block.
func (c *fileTexts) at(i int) string {
	if i >= len(c.parts) {
		return ""
	}
	p := c.parts[i]
	if p.span.From == p.span.To {
		return ""
	}
	return c.blocks[p.block][p.span.From:p.span.To]
}

// block takes a text in that others will be parts of, and returns its number.
func (c *fileTexts) block(text string) uint32 {
	if len(c.blocks) == 0 {
		c.blocks = append(c.blocks, "")
	}
	c.blocks = append(c.blocks, text)
	return uint32(len(c.blocks) - 1) //nolint:gosec // no more blocks than files, which are bounded by checkpoint_rows
}

// set makes a part of a block text i, which comes after all that were set.
func (c *fileTexts) set(i int, block uint32, span parquetio.Span) {
	if span.From == span.To {
		return
	}
	if c.parts == nil && c.expected > i {
		c.parts = make([]textPart, 0, c.expected)
	}
	for len(c.parts) < i {
		c.parts = append(c.parts, textPart{})
	}
	c.parts = append(c.parts, textPart{block, span})
}

// setText is set for a text that stands alone.
func (c *fileTexts) setText(i int, text string) {
	if text != "" {
		c.set(i, c.block(text), parquetio.Span{To: uint32(len(text))}) //nolint:gosec // limits bound lines and values far below 4 GiB
	}
}

// grow makes room for n texts in all, once there is one.
func (c *fileTexts) grow(n int) {
	c.expected = max(c.expected, n)
	if c.parts != nil {
		c.parts = slices.Grow(c.parts, max(0, n-len(c.parts)))
	}
}

// textCopier copies texts of another column. It takes over the blocks that are needed and leaves the others behind: in
// a table that lives long most texts of old columns are of files that are gone.
type textCopier struct {
	from   *fileTexts
	blocks []uint32 // number of each block here; 0: not taken over
}

func (c *fileTexts) copyFrom(x *textCopier, from, to int) {
	if from >= len(x.from.parts) {
		return
	}
	p := x.from.parts[from]
	if p.span.From == p.span.To {
		return
	}
	if x.blocks == nil {
		x.blocks = make([]uint32, len(x.from.blocks))
	}
	if x.blocks[p.block] == 0 {
		x.blocks[p.block] = c.block(x.from.blocks[p.block])
	}
	c.set(to, x.blocks[p.block], p.span)
}
