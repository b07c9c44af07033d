// Package examples holds the runnable projects that `lakectl init` writes out, data included.
//
// FS is rooted here: the folder "flights" is the flights project. Its landing files are cut from public data by
// flights/gen, which is not part of FS; source and licence are in flights/NOTICE.
package examples

import "embed"

// FS holds the example projects: one folder each, ready to be copied.
//
//go:embed flights/lake.yml flights/README.md flights/NOTICE flights/pipelines flights/landing flights/late
var FS embed.FS
