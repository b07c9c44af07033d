// Package nearest finds the words that someone may have meant who wrote another one.
package nearest

import (
	"cmp"
	"slices"
	"strings"
)

// wordMax bounds the bytes of a word that are compared.
const wordMax = 64

// Of returns up to most candidates that are near word by the number of letters that differ, the nearest first; none
// when all are far off. Case counts for nothing.
func Of(word string, candidates []string, most int) []string {
	type near struct {
		text     string
		distance int
	}
	var found []near
	limit := max(2, min(len(word), wordMax)/3)
	if len(word) <= 3 {
		limit = 1 // every other short word is two letters away
	}
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d <= limit {
			found = append(found, near{c, d})
		}
	}
	slices.SortStableFunc(found, func(a, b near) int { return cmp.Compare(a.distance, b.distance) })
	var out []string
	for _, n := range found[:min(len(found), most)] {
		out = append(out, n.text)
	}
	return out
}

// distance is the Levenshtein distance in bytes, of words that are cut to a sane length.
func distance(a, b string) int {
	a, b = a[:min(len(a), wordMax)], b[:min(len(b), wordMax)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
