// Package config reads the small languages of project files: variables, sizes, durations and ratios.
//
// It knows nothing of YAML or of any key; whoever decodes a file calls it for one text and adds file, line and key.
package config
