// Package model is a second, independent statement of the rules of money: it takes
// requests as a client means them and says what the ledger has to answer and what
// every account then holds. Tests hand it the same requests as the committer and
// compare. It is written from the formats and not from the committer, with maps and
// math/big, without thought for speed, and shares nothing with the committer but the
// types of package wire that name an entry's fields.
//
// # Cells
//
// Everything that is counted is a cell: a number between 0 and 2^128-1, and 0 where
// nothing was ever counted.
//
//	available (account, asset)    what the account can spend
//	held      (account, asset)    what its holds have set aside
//	supply    (asset)             minted and not burnt
//	left      (hold)              what is left of a hold
//	credits   (asset)             of the legs of the atomic request under way
//	debits    (asset)             likewise
//
// An entry takes its amount out of some cells and then puts it into others:
//
//	kind      takes                     puts
//	Credit                              available, credits
//	Debit     available                 debits
//	Transfer  available                 available of the counterparty
//	Mint                                supply, available
//	Burn      available, supply
//	Hold      available                 held, left
//	Release   left, held                available
//	Capture   left, held                available of the counterparty
//	Reverse   what its original put     what its original took
//
// with one exception: credits and debits only grow, so the Reverse of a Credit is a
// Debit and that of a Debit a Credit. A cell that would fall below 0 is
// insufficient_funds, and then one that would rise above 2^128-1 is overflow. From
// this table follows all the rest: that a Transfer to oneself needs the money and
// changes nothing, that a Hold can be reversed only while nothing of it is gone, that
// the supply bounds a Burn amid legs.
//
// # Precedence
//
// Of the reasons that apply to one entry it gets the first of: shape (malformed or
// unknown_kind), conflict, unknown_ref, already_reversed, unbalanced (a leg outside an
// atomic request), insufficient_funds, overflow. A duplicate is told before any reason
// behind conflict.
package model
