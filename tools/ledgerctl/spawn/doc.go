// Package spawn holds a sidecar as a child. It takes from bench and chaos how the program is started, makes a home for
// it in a scratch folder, and hands back a process that they can stop, kill and start again on that home.
//
// The child ends when its standard input does, and so with its parent, however that ends.
package spawn
