//! The examples are beside this file, one each; there is nothing in the library.
