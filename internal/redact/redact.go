// Package redact keeps secrets out of whatever people, logs, plans and tickets get to see.
//
// A [Secret] prints as *** through every printing interface of Go; [URL] prints an address without what may
// authenticate it.
package redact

// Mask stands where a secret would have stood.
const Mask = "***"
