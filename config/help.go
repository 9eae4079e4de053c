package config

import (
	"fmt"
	"io"
	"strings"
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

// Markdown returns the table of settings for the documents.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| variable | YAML key | default | meaning |\n|---|---|---|---|\n")
	for _, v := range Variables() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", code(v.Name), code(v.Key), code(v.Default), v.help())
	}
	return b.String()
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

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}
