"""Training of one-stage PCAN on YOLOX: conversion of the published detector, losses and stages."""
