mod collector;
mod life;
mod pages;
