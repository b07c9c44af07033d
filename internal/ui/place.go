package ui

import (
	"strings"
	"unicode/utf8"
)

// Place is where in a text something is wrong.
type Place struct {
	Line   int    `json:"line"`   // from 1
	Column int    `json:"column"` // in characters, from 1
	Text   string `json:"text"`   // the line
}

// PlaceAt finds the place of a byte of text; nil when text does not reach so far.
func PlaceAt(text string, offset int) *Place {
	if offset < 0 || offset > len(text) || strings.TrimSpace(text) == "" {
		return nil
	}
	if rest := strings.TrimRight(text, " \t\r\n"); offset > len(rest) { // an end that came too soon is behind the last word
		offset = len(rest)
	}
	before, after := text[:offset], text[offset:]
	start := strings.LastIndexByte(before, '\n') + 1
	line, _, _ := strings.Cut(after, "\n")
	return &Place{
		Line: strings.Count(before, "\n") + 1, Column: utf8.RuneCountInString(before[start:]) + 1,
		Text: strings.TrimRight(before[start:]+line, " \t\r"),
	}
}

// placeWidth is how much of a long line is shown around the place.
const placeWidth = 72

// drawn is the line with a caret below the place.
func (p *Place) drawn() (text, caret string) {
	plain := []rune(strings.Map(func(r rune) rune { // one character on the screen for each
		if control(r) {
			return ' '
		}
		return r
	}, p.Text))
	at := min(p.Column-1, len(plain))
	from := max(0, min(at-placeWidth/2, len(plain)-placeWidth))
	to := min(len(plain), from+placeWidth)
	lead, tail := "", ""
	if from > 0 {
		lead = "…"
	}
	if to < len(plain) {
		tail = "…"
	}
	return lead + string(plain[from:to]) + tail, strings.Repeat(" ", at-from+utf8.RuneCountInString(lead)) + "^"
}
