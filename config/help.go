package config

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// WriteHelp writes the table of settings for a terminal.
func WriteHelp(w io.Writer) error {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "VARIABLE\tYAML KEY\tDEFAULT\tMEANING")
	for _, v := range Variables() {
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\n", v.Name, v.Key, v.Default, v.help())
	}
	if err := tab.Flush(); err != nil {
		return fmt.Errorf("write help: %w", err)
	}
	return nil
}

// help is the doc line and how the value may be given.
func (v Variable) help() string {
	text := v.Doc
	if v.List {
		text += "; comma separated"
	}
	if v.Secret {
		text += "; or " + v.fileName()
	}
	return text
}
