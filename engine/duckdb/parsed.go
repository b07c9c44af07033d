package duckdb

import (
	"sync"
)

// Bounds of what an engine remembers of statements.
const (
	parsedBytes    = 1 << 20 // of each of two generations
	parsedTextsMax = 64 << 10
)

// parsedTexts remembers what DuckDB's parser made of texts: the tree of a statement, the statement of a tree. Both depend
// on the text alone, no setting or table has a say in them, and one operation asks for the same several times: which
// columns it has, which tables, then to run it.
//
// There are two generations. What is asked for moves to the younger; when that is full it becomes the older, and what was
// there is forgotten. Safe for concurrent use.
type parsedTexts struct {
	mu         sync.Mutex // guards the fields below; a leaf lock
	young, old map[string]string
	bytes      int // of young
}

// of returns what ask makes of text, remembered or asked for. Errors are not remembered.
func (p *parsedTexts) of(text string, ask func() (string, error)) (string, error) {
	p.mu.Lock()
	answer, ok := p.young[text]
	if !ok {
		if answer, ok = p.old[text]; ok {
			p.keep(text, answer)
		}
	}
	p.mu.Unlock()
	if ok {
		return answer, nil
	}
	answer, err := ask()
	if err != nil {
		return "", err
	}
	if len(text)+len(answer) <= parsedTextsMax {
		p.mu.Lock()
		p.keep(text, answer)
		p.mu.Unlock()
	}
	return answer, nil
}

// keep puts an answer into the younger generation. The caller holds mu.
func (p *parsedTexts) keep(text, answer string) {
	if p.bytes += len(text) + len(answer); p.young == nil || p.bytes > parsedBytes {
		p.old, p.young, p.bytes = p.young, map[string]string{}, len(text)+len(answer)
	}
	p.young[text] = answer
}
